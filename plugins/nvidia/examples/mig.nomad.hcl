# One MIG instance. Instances have a device type of their own, so a job that asks
# for nvidia/gpu never gets one by accident.

job "gpu-mig" {
  type = "batch"

  group "work" {
    task "infer" {
      driver = "docker"

      config {
        image   = "nvidia/cuda:12.8.1-base-ubuntu24.04"
        command = "nvidia-smi"
        args    = ["-L"]
      }

      resources {
        device "nvidia/mig" {
          constraint {
            attribute = "${device.attr.mig_profile}"
            value     = "1g.10gb"
          }
        }
      }
    }
  }
}
