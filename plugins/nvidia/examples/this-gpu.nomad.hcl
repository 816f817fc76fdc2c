# A certain GPU, by its UUID as nvidia-smi -L and nomad node status show it.

job "this-gpu" {
  type = "batch"

  # The node is named too: Nomad decides about nodes of one class together, and
  # the IDs of devices are not part of the class.
  constraint {
    attribute = "${node.unique.name}"
    value     = "gpu-node-1"
  }

  group "work" {
    task "smi" {
      driver = "docker"

      config {
        image   = "nvidia/cuda:12.8.1-base-ubuntu24.04"
        command = "nvidia-smi"
      }

      resources {
        device "nvidia/gpu" {
          constraint {
            attribute = "${device.ids}"
            operator  = "set_contains"
            value     = "GPU-fef8089b-5a1e-4b7c-9d00-0123456789ab"
          }
        }
      }
    }
  }
}
