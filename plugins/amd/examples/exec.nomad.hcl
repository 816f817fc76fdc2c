# A task of the exec driver. It sees /dev/kfd and the render node of its GPU, and
# no others. ROCm is there if the client's chroot_env has the directory that it
# lies in, such as /opt/rocm.

job "amd-exec" {
  type = "batch"

  group "work" {
    task "list" {
      driver = "exec"

      config {
        command = "/bin/sh"
        args    = ["-c", "ls -l /dev/kfd /dev/dri; env | grep -e ROCR_ -e AMD_GPU_"]
      }

      resources {
        device "amd/gpu" {}
      }
    }
  }
}
