# Four tasks on one GPU that the plugin shares, see share.agent.hcl.

job "gpu-shared" {
  type = "batch"

  group "work" {
    count = 4

    task "list" {
      driver = "raw_exec"

      config {
        command = "/bin/sh"
        args    = ["-c", "echo this task has a part of $CUDA_VISIBLE_DEVICES"]
      }

      resources {
        device "nvidia/gpu-share" {
          constraint {
            attribute = "${device.attr.sharing}"
            value     = "time-slicing"
          }
        }
      }
    }
  }
}
