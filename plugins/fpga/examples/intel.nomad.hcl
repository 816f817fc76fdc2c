# A container with one accelerator function of an Intel card, asked for by the
# UUID of the function. Buffers of more than a page are pinned: the host needs
# huge pages, and the task no limit of locked memory.

job "afu" {
  type = "batch"

  group "work" {
    task "nlb" {
      driver = "docker"

      config {
        image   = "example/opae:2.13"
        command = "hello_fpga"

        ulimit {
          memlock = "-1"
        }

        mount {
          type   = "bind"
          source = "/dev/hugepages"
          target = "/dev/hugepages"
        }
      }

      resources {
        cpu    = 500
        memory = 512

        device "intel/fpga" {
          constraint {
            attribute = "${device.attr.afu_uuid}"
            value     = "d8424dc4-a4a3-c413-f89e-433683f9040b"
          }

          constraint {
            attribute = "${device.attr.bbs_version}"
            operator  = "version"
            value     = ">= 1.2.3"
          }
        }
      }
    }
  }
}
