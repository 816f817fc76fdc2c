# This FPGA and no other, by its ID, without a container. The variable that is
# named after the ID holds the path of its device node.

job "this-fpga" {
  type = "batch"

  group "work" {
    task "node" {
      driver = "raw_exec"

      config {
        command = "/bin/sh"
        args    = ["-c", "ls -l $FPGA_DFL_0000_B1_00_0_PORT0"]
      }

      resources {
        cpu    = 100
        memory = 64

        device "intel/fpga" {
          constraint {
            attribute = "${device.ids}"
            operator  = "set_contains"
            value     = "dfl:0000:b1:00.0/port0"
          }
        }
      }
    }
  }
}
