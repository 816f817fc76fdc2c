# A container with one GPU of at least 24 GiB, by the NVIDIA container runtime.
# The node needs the NVIDIA Container Toolkit, registered with Docker.

job "gpu-docker" {
  type = "batch"

  group "work" {
    task "smi" {
      driver = "docker"

      config {
        image   = "nvidia/cuda:12.8.1-base-ubuntu24.04"
        command = "nvidia-smi"
      }

      resources {
        cpu    = 500
        memory = 256

        device "nvidia/gpu" {
          count = 1

          constraint {
            attribute = "${device.attr.memory}"
            operator  = ">="
            value     = "24 GiB"
          }

          # Versions need the version operator.
          constraint {
            attribute = "${device.attr.compute_capability}"
            operator  = "version"
            value     = ">= 8.0"
          }

          affinity {
            attribute = "${device.attr.architecture}"
            operator  = "="
            value     = "hopper"
            weight    = 50
          }
        }
      }
    }
  }
}
