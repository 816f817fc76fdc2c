# One partition of a GPU that is divided. Partitions have a device type of their
# own, so a job that asks for amd/gpu never gets one by accident.

job "amd-partition" {
  type = "batch"

  group "work" {
    task "infer" {
      driver = "docker"

      config {
        image   = "rocm/dev-ubuntu-24.04:6.4.1-complete"
        command = "/opt/rocm/bin/rocminfo"
      }

      resources {
        device "amd/gpu-partition" {
          # Each die by itself, whatever the model.
          constraint {
            attribute = "${device.attr.compute_partition}"
            value     = "cpx"
          }

          # The partition's own share of the memory.
          constraint {
            attribute = "${device.attr.memory}"
            operator  = ">="
            value     = "20 GiB"
          }
        }
      }
    }
  }
}
