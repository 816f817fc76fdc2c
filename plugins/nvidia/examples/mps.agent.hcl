# GPUs for several tasks at the same time, each with a limit, through the daemon
# that nvidia-mps.service runs.

plugin "nomad-device-nvidia" {
  config {
    share {
      devices      = ["NVIDIA H100 80GB HBM3"]
      replicas     = 2
      strategy     = "mps"
      one_per_task = true
    }

    mps {
      # CUDA_MPS_PIPE_DIRECTORY of the daemon.
      pipe_directory = "/run/nvidia-mps"
      shm_directory  = "/dev/shm"
    }
  }
}
