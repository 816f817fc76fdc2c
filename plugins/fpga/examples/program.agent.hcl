# Part of a Nomad client's configuration, for cards that are programmed when a
# task gets one. Every image belongs to root and can be written by nobody else.

plugin "nomad-device-fpga" {
  config {
    dfl {
      bitstream_dir   = "/opt/fpga/images"
      program_timeout = "30s"

      # Ports of cards with this interface are offered as the function that the
      # image holds, whatever is loaded now: intel/fpga/a10-pac-69528db6-f7df405c.
      program {
        interface = "69528db6-eb31-577a-8c36-68f9faa081f6"
        afu       = "f7df405c-bd7a-cf72-22f1-44b0b93acd18"
        bitstream = "nlb3.gbs"
        sha256    = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
      }
    }
  }
}
