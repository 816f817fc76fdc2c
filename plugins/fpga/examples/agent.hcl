# Part of a Nomad client's configuration. The label of the plugin block is the
# name of the file in plugin_dir.

plugin_dir = "/opt/nomad/plugins"

plugin "nomad-device-fpga" {
  config {
    # All settings are optional; these are some of them.

    # IDs or PCI addresses of FPGAs that Nomad must leave alone.
    # ignored_ids = ["xrt:0000:65:00.1", "0000:3b:00.0"]

    # How often to look. Cards that come and go are seen at once.
    fingerprint_period = "1m"

    # Intel and Altera cards.
    dfl {
      # "region" would hand out whole cards, with the right to program them.
      mode = "port"
    }

    # AMD and Xilinx Alveo cards: mount the node's XRT into every task that gets
    # one. An image with XRT in it needs no mount.
    xrt {
      runtime = "/opt/xilinx/xrt"
    }

    # The FPGA of the node's own SoC, and what its loaded design is used by.
    fpga_managers = true

    nodes {
      device = "mgr:platform/soc/ff706000.fpgamgr"
      paths  = ["/dev/uio0", "/dev/uio1"]
    }
  }
}
