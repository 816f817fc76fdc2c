# A certain GPU, by its ID as nomad node status shows it. The ID is made of the
# die's serial number, and stays the same in another slot and another node.

job "amd-this-gpu" {
  type = "batch"

  # The node is named too: Nomad decides about nodes of one class together, and
  # the IDs of devices are not part of the class.
  constraint {
    attribute = "${node.unique.name}"
    value     = "gpu-node-1"
  }

  group "work" {
    task "info" {
      driver = "docker"

      config {
        image   = "rocm/dev-ubuntu-24.04:6.4.1-complete"
        command = "/opt/rocm/bin/rocminfo"
      }

      resources {
        device "amd/gpu" {
          constraint {
            attribute = "${device.ids}"
            operator  = "set_contains"
            value     = "GPU-e3a94b17c02d5f86"
          }
        }
      }
    }
  }
}
