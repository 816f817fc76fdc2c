# Part of a Nomad client's configuration. The label of the plugin block is the
# name of the file in plugin_dir.

plugin_dir = "/opt/nomad/plugins"

plugin "nomad-device-nvidia" {
  config {
    # All settings are optional; these are some of them.

    # UUIDs or PCI addresses of GPUs that Nomad must leave alone.
    # ignored_gpu_ids = ["GPU-fef8089b-5a1e-4b7c-9d00-0123456789ab", "0000:3b:00.0"]

    # How often to look. Errors that the driver reports are seen at once.
    fingerprint_period = "1m"

    # "devices" hands over the device nodes and needs no NVIDIA container
    # runtime on the node.
    access = "runtime"

    health {
      recover_after = "30s"
    }
  }
}
