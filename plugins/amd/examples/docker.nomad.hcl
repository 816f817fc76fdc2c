# A container with one GPU of the Instinct line that has at least 60 GiB. The
# node needs the driver amdgpu; ROCm is in the image.

job "amd-docker" {
  type = "batch"

  group "work" {
    task "info" {
      driver = "docker"

      config {
        image   = "rocm/dev-ubuntu-24.04:6.4.1-complete"
        command = "/opt/rocm/bin/rocminfo"

        # ROCm locks memory that the GPU reads, and frameworks that train with
        # several processes exchange data in /dev/shm. The size is in bytes.
        shm_size = 8589934592

        ulimit {
          memlock = "-1"
        }

        # Only for an image whose user is not root: the number of the group that
        # /dev/kfd has on the node (stat -c %g /dev/kfd). Its name may mean
        # another number in the image.
        # group_add = ["992"]
      }

      resources {
        cpu    = 500
        memory = 1024

        device "amd/gpu" {
          count = 1

          # A GPU that is sold with 64 GB shows a little less than 64 GiB.
          constraint {
            attribute = "${device.attr.memory}"
            operator  = ">="
            value     = "60 GiB"
          }

          # What the programs in the image were compiled for.
          constraint {
            attribute = "${device.attr.gfx_target}"
            operator  = "set_contains_any"
            value     = "gfx90a,gfx942,gfx950"
          }

          affinity {
            attribute = "${device.attr.compute_units}"
            operator  = ">="
            value     = "300"
            weight    = 50
          }
        }
      }
    }
  }
}
