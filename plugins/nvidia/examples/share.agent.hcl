# One GPU for several tasks at a time, which take turns on it.

plugin "nomad-device-nvidia" {
  config {
    # A10 GPUs are offered as four instances each, of the type gpu-share. All
    # other GPUs stay whole.
    share {
      devices  = ["NVIDIA A10"]
      replicas = 4
    }

    metrics {
      address = "127.0.0.1:9500"
    }
  }
}
