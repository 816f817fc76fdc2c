# A container with one Alveo card that has at least 32 GiB of memory. The image
# holds XRT of the node's version, and the host's part of the application.

job "alveo" {
  type = "batch"

  group "work" {
    task "validate" {
      driver = "docker"

      config {
        image   = "example/xrt:2.16"
        command = "xbutil"
        args    = ["validate"]
      }

      resources {
        cpu    = 2000
        memory = 4096

        device "amd/fpga" {
          count = 1

          constraint {
            attribute = "${device.attr.family}"
            value     = "xrt"
          }

          constraint {
            attribute = "${device.attr.memory}"
            operator  = ">="
            value     = "32 GiB"
          }

          affinity {
            attribute = "${device.attr.board}"
            value     = "u250"
            weight    = 50
          }
        }
      }
    }
  }
}
