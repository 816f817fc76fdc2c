# A task without a container. It sees the host's /dev, and ROCm keeps it to its own
# GPUs because the plugin sets ROCR_VISIBLE_DEVICES.

job "amd-raw-exec" {
  type = "batch"

  group "work" {
    task "train" {
      driver = "raw_exec"

      config {
        command = "/bin/sh"
        args    = ["-c", "echo \"ROCm sees $ROCR_VISIBLE_DEVICES\""]
      }

      resources {
        device "amd/gpu" {
          count = 2
        }
      }
    }
  }
}
