# A task without a container. It sees the host's /dev, and keeps to its own GPUs
# because the plugin sets CUDA_VISIBLE_DEVICES.

job "gpu-raw-exec" {
  type = "batch"

  group "work" {
    task "train" {
      driver = "raw_exec"

      config {
        command = "/bin/sh"
        args    = ["-c", "echo \"CUDA sees $CUDA_VISIBLE_DEVICES\""]
      }

      resources {
        device "nvidia/gpu" {
          count = 2
        }
      }
    }
  }
}
