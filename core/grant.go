package core

// Grant is what a task needs to use a device. Its zero value is a good grant
// that gives nothing.
type Grant struct {
	// Env holds variables with one value. If the grants of two devices of one
	// reservation disagree on a variable, the reservation fails. Name things
	// by stable identity, never by an index: Nomad replays the values after a
	// reboot.
	Env map[string]string
	// Lists holds variables whose values are gathered over the devices of a
	// reservation: each value once, joined by commas, in the order of the
	// devices' IDs.
	Lists map[string][]string
	// Nodes are device nodes to hand over.
	Nodes []Node
	// Mounts are host paths to mount. Nomad lets them replace the task's own
	// volumes on its first start, so give none unless the operator asked.
	Mounts []Mount
}

// Node is a device node to hand to a task.
type Node struct {
	// Path is the node's usual path, such as "/dev/nvidia0". The task sees it
	// there; on the host it is looked up below host_root, with links resolved.
	Path string
	// Permissions are the cgroup's: a subset of "rwm", and not empty.
	Permissions string
	// Optional says that the task can do without: the node is left out where it
	// is missing.
	Optional bool
}

// Mount is a host file or directory to mount into a task.
type Mount struct {
	// HostPath is the path on the host, looked up below host_root.
	HostPath string
	// TaskPath is where the task sees it.
	TaskPath string
	// Writable makes the mount read-write.
	Writable bool
}
