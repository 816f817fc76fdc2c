# A task of the exec driver. The plugin on the node needs access = "devices", so
# that the device nodes are put into the task's root. The driver's libraries are
# there if the client's chroot_env has the directories that they lie in.

job "gpu-exec" {
  type = "batch"

  group "work" {
    task "list" {
      driver = "exec"

      config {
        command = "/bin/sh"
        args    = ["-c", "ls -l /dev/nvidia*; env | grep NVIDIA_DEVICE_"]
      }

      resources {
        device "nvidia/gpu" {}
      }
    }
  }
}
