# Part of a Nomad client's configuration. The label of the plugin block is the
# name of the file in plugin_dir.

plugin_dir = "/opt/nomad/plugins"

plugin "nomad-device-amd" {
  config {
    # All settings are optional; these are some of them.

    # IDs or PCI addresses of GPUs that Nomad must leave alone, such as the one
    # that the desktop runs on.
    # ignored_ids = ["GPU-46a8f2d103b7ce59", "0000:c5:00.0"]

    # The GPU in the processor is left alone.
    apus = false

    # How often to look. What the kernel tells by itself is seen at once.
    fingerprint_period = "1m"

    # A GPU that had uncorrectable errors before the client was started gets no
    # work either, until it was reset.
    strict_ecc = true

    health {
      recover_after = "30s"
    }
  }
}

# Only for access = "runtime", with tasks that have runtime = "amd":
#
# plugin "docker" {
#   config {
#     allow_runtimes = ["runc", "amd"]
#   }
# }
