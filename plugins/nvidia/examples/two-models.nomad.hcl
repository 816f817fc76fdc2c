# Two GPUs of different models in one task. One device block is served by GPUs of
# one model, so there are two. Nomad keeps the joined variables, such as
# CUDA_VISIBLE_DEVICES, of the last block only; the variables NVIDIA_DEVICE_… of
# both are there, one for each GPU, and the task joins them itself.

job "gpu-two-models" {
  type = "batch"

  group "work" {
    task "both" {
      driver = "raw_exec"

      config {
        command = "/bin/sh"
        args = ["-c", <<-SCRIPT
          CUDA_VISIBLE_DEVICES=$(env | sed -n 's/^NVIDIA_DEVICE_[^=]*=//p' | sort | paste -sd, -)
          export CUDA_VISIBLE_DEVICES
          echo "CUDA sees $CUDA_VISIBLE_DEVICES"
        SCRIPT
        ]
      }

      resources {
        device "nvidia/gpu/NVIDIA H100 80GB HBM3" {}
        device "nvidia/gpu/Tesla T4" {}
      }
    }
  }
}
