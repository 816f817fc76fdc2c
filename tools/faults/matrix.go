package faults

// Row is one fault: what happens, and what that means.
type Row struct {
	// Name says what breaks. It is the name of the row's test.
	Name string
	// How says how the test makes the fault.
	How string
	// Operator is what a person sees who looks at the node.
	Operator string
	// Says are words that the plugin's log or a device's reason must hold in
	// the test of the row.
	Says []string
	// Nomad is what Nomad sees, and Lost what work or data is lost. Recovery is
	// how it ends.
	Nomad, Lost, Recovery string
	// Agent says that the row is also tested under a real Nomad agent.
	Agent bool
}

// Matrix are all faults that are tested.
var Matrix = []Row{
	{
		Name: "one device lost", Agent: true,
		How:      "A GPU falls off the bus, with the driver's event (XID 79) and without.",
		Operator: "A warning that names the GPU, the cause and the next step; the same in the device's health description and statistics.",
		Says:     []string{"the device is unhealthy", "XID 79", "has fallen off the bus"},
		Nomad:    "The device is listed and unhealthy. New work goes to the others, whose statistics go on.",
		Lost:     "Nothing but the GPU's own statistics.",
		Recovery: "By itself, when the GPU answers again and was seen well for `health.recover_after`.",
	},
	{
		Name: "all devices lost", Agent: true,
		How:      "Every GPU falls off the bus, and each comes back.",
		Operator: "One warning for each GPU.",
		Says:     []string{"the device is unhealthy", "the device is healthy again"},
		Nomad:    "All devices are listed and unhealthy. A job that needs one waits.",
		Lost:     "Nothing: the job that waits is placed when a GPU is well, because `healthy_count` changes with it.",
		Recovery: "By itself, GPU by GPU.",
	},
	{
		Name:     "a call takes 1 s",
		How:      "One call for one GPU takes a second each time: one of the statistics, then one of the scan.",
		Operator: "Nothing: this is below `driver_timeout`.",
		Nomad:    "The other GPUs' statistics come at each interval, this one's when they are there. A fault of another GPU is told at once.",
		Lost:     "Nothing.",
		Recovery: "There is nothing to recover from.",
	},
	{
		Name:     "a call takes 10 s",
		How:      "One call for one GPU takes longer than `driver_timeout`.",
		Operator: "A warning that the driver does not answer for this GPU.",
		Says:     []string{"the driver does not answer for this device"},
		Nomad:    "The GPU is unhealthy, the others are as they were.",
		Lost:     "The GPU's own statistics meanwhile.",
		Recovery: "By itself, when the call returns.",
	},
	{
		Name:     "a call for one device never returns",
		How:      "No call for one GPU returns.",
		Operator: "A warning that the driver does not answer for this GPU. The process keeps one thread for it, however long it hangs.",
		Says:     []string{"the driver does not answer for this device", "the device is healthy again"},
		Nomad:    "The GPU is unhealthy, the others are as they were. A reservation of the GPU is refused at once.",
		Lost:     "The GPU's own statistics meanwhile.",
		Recovery: "By itself, when the call returns.",
	},
	{
		Name:     "the whole library hangs",
		How:      "No call of the driver's library returns; a second process starts meanwhile.",
		Operator: "A warning for each GPU that the driver does not answer.",
		Says:     []string{"the driver does not answer"},
		Nomad:    "All devices are unhealthy. A process that starts now offers none, but says so within a second, so that the node becomes ready; it also ends when it is told to.",
		Lost:     "The statistics meanwhile.",
		Recovery: "By itself, when the calls return.",
	},
	{
		Name:     "every call fails with every error",
		How:      "Each function that the plugin uses fails with each code of nvml.h and some that are not in it: for one GPU, for the machine, at the start of the library.",
		Operator: "For a GPU that cannot be read a warning with the function and the code in words.",
		Says:     []string{"NVML error 999", "NVML error 12345", "this process ends so that Nomad starts a new one"},
		Nomad:    "The GPU stays listed, unhealthy if it cannot be identified or its health cannot be read, healthy without the value otherwise. All others are as they were.",
		Lost:     "The values that cannot be read.",
		Recovery: "By itself. Code 18, another driver version, can only be followed by a new process: see *the driver is upgraded*.",
	},
	{
		Name:     "garbage in every text and number",
		How:      "Each value of a GPU, the driver's and CUDA's version are empty, negative, huge, not a number, control bytes, bytes that are no UTF-8, `${…}`, text that reads as a number.",
		Operator: "A warning for what was left out and why.",
		Says:     []string{"left out what Nomad could not bear"},
		Nomad:    "Valid messages without the value. A GPU without a usable ID is not offered. All others are as they were.",
		Lost:     "The values that make no sense.",
		Recovery: "By itself, when the values do.",
	},
	{
		Name:     "devices appear, vanish and flap",
		How:      "One GPU is taken out and put back, another lost and found, at 10 Hz; later one goes and comes in order.",
		Operator: "A warning and a note for each change that was seen, then one that the device is held back.",
		Says:     []string{"the device is no longer there"},
		Nomad:    "A few messages, not one for each change. A device that fails three times in ten minutes stays unhealthy until it was well for ten minutes. A device that is gone is unhealthy for a minute and then not listed.",
		Lost:     "Nothing.",
		Recovery: "By itself.",
	},
	{
		Name:     "the MIG layout changes under a task",
		How:      "Of two instances one is reserved; the other is cut into two.",
		Operator: "The new instances, and a warning for the one that is gone.",
		Says:     []string{"the device is no longer there"},
		Nomad:    "The new instances are offered, the old one is unhealthy and a minute later not listed.",
		Lost:     "Nothing: the reserved instance stays healthy, and reserving it again gives the same.",
		Recovery: "There is nothing to recover from.",
	},
	{
		Name: "no driver at boot", Agent: true,
		How:      "The plugin starts without library and driver; the library comes, then the driver; later the driver is unloaded and loaded.",
		Operator: "One line that no driver is in use and that GPUs are found as soon as it is. When it goes later, a warning for each GPU.",
		Says:     []string{"no driver is in use", "the NVIDIA driver is gone"},
		Nomad:    "A node that is ready without devices, and has them when they are there. When the driver goes later, all are unhealthy.",
		Lost:     "Nothing.",
		Recovery: "By itself, when the driver is loaded.",
	},
	{
		Name: "the driver is upgraded", Agent: true,
		How:      "The kernel's driver becomes another version than the library of the running process.",
		Operator: "A warning that names both versions and says that the process ends.",
		Says:     []string{"the NVIDIA driver was replaced", "this process ends so that Nomad starts a new one"},
		Nomad:    "The process ends with its streams open, at most every ten seconds; Nomad keeps the list and starts a new one, which tells of the new version.",
		Lost:     "The statistics of some seconds.",
		Recovery: "By itself, by the new process.",
	},
	{
		Name:     "a function is missing from the library",
		How:      "A driver for each function that the plugin uses, without that function.",
		Operator: "Nothing for a value that this driver does not have. Without one that every driver has, a warning that names it.",
		Nomad:    "All devices, healthy, without the attribute or statistic. Without the functions that list and identify GPUs, none.",
		Lost:     "The values that this driver does not have.",
		Recovery: "With a driver that has the function.",
	},
	{
		Name:     "the driver has no events",
		How:      "No GPU has events; they cannot be registered; there is no set of events; waiting fails; waiting never returns.",
		Operator: "Where waiting fails, one warning that looking goes on by period.",
		Says:     []string{"looking goes on by period"},
		Nomad:    "The same as with events, up to `fingerprint_period` later.",
		Lost:     "Nothing.",
		Recovery: "There is nothing to recover from.",
	},
	{
		Name: "the plugin is killed", Agent: true,
		How:      "SIGKILL; later again, while a GPU is lost.",
		Operator: "Nomad's line that the plugin is started again.",
		Says:     []string{"never identified"},
		Nomad:    "It keeps its list, and the new process tells the same. A reservation may come before everything else. A GPU that is lost by then cannot be asked for its name and is not listed until it answers.",
		Lost:     "Nothing: running tasks do not notice.",
		Recovery: "By itself, by the new process.",
	},
	{
		Name:     "the plugin dies again and again",
		How:      "SIGKILL five times, each as soon as all devices are there: what a library does that brings the process down.",
		Operator: "Nomad's line that the plugin is started again, and from the third time on an error that says how long the hardware is left alone: a second at first, twice as long each time, at most a minute.",
		Says:     []string{"this plugin died again and again after it touched the hardware; waiting before the next try"},
		Nomad:    "Each new process answers within a second. While it waits it has no devices, so that the node is ready and is given no work for them.",
		Lost:     "Nothing: running tasks do not notice.",
		Recovery: "By itself. A process that lives for a minute has forgotten the others.",
	},
	{
		Name:     "the plugin is stopped",
		How:      "SIGSTOP, and SIGCONT five seconds later; a GPU is lost meanwhile.",
		Operator: "Nothing meanwhile, then the warning.",
		Says:     []string{"XID 79"},
		Nomad:    "Nothing meanwhile: it does not ask whether a plugin is alive. Then the fault.",
		Lost:     "The statistics meanwhile.",
		Recovery: "By itself, when the process goes on.",
	},
	{
		Name: "the agent is killed", Agent: true,
		How:      "The connection ends without a word.",
		Operator: "A line that the process ends because no agent listens.",
		Says:     []string{"no Nomad agent listens any more"},
		Nomad:    "The new agent starts a process of its own.",
		Lost:     "Nothing: running tasks do not notice.",
		Recovery: "The process that is left over ends by itself after a minute, if the new agent has not ended it.",
	},
	{
		Name:     "1,000 reservations at once",
		How:      "1,000 calls of Reserve at a time, of well GPUs and of a lost one.",
		Operator: "A line for each.",
		Says:     []string{"devices reserved", "a reservation was refused"},
		Nomad:    "Each answer is right: the GPU that was asked for, or an error that names the one that is lost.",
		Lost:     "Nothing.",
		Recovery: "There is nothing to recover from.",
	},
	{
		Name:     "100 streams opened and cancelled",
		How:      "100 fingerprint streams at a time, four times.",
		Operator: "Nothing.",
		Nomad:    "Each stream begins with the whole state.",
		Lost:     "Nothing: memory, threads and file descriptors are what they were.",
		Recovery: "There is nothing to recover from.",
	},
	{
		Name:     "the clock jumps",
		How:      "The only times that outlive a process, those of early deaths, lie a day ahead and a day back. Everything else that is counted is counted by the monotonic clock, which does not jump.",
		Operator: "Nothing.",
		Nomad:    "Nothing.",
		Lost:     "Nothing: times that cannot be right count for nothing.",
		Recovery: "There is nothing to recover from.",
	},
	{
		Name:     "files of the host are unreadable or endless",
		How:      "Each file below `host_root` becomes empty, garbage, endless, a terabyte, a pipe, a socket, a loop of links, a link to outside, a directory, unreadable, or is gone.",
		Operator: "Nothing, or a note for the value that is missing.",
		Nomad:    "The same devices, healthy, without the value.",
		Lost:     "The values that only those files tell.",
		Recovery: "By itself, when the files can be read.",
	},
	{
		Name:     "no room for logs",
		How:      "stderr is a full disk, is closed, or is a pipe whose other end is closed.",
		Operator: "No log. The health descriptions are there.",
		Says:     []string{"has fallen off the bus"},
		Nomad:    "The same as always.",
		Lost:     "The log.",
		Recovery: "By itself, when there is room.",
	},
	{
		Name:     "the MPS daemon ends",
		How:      "The daemon of GPUs that are shared with `strategy = \"mps\"` crashes and leaves its files behind, or ends in order.",
		Operator: "A warning for each of these GPUs, with what to start.",
		Says:     []string{"the MPS daemon has ended and left its files behind", "the MPS daemon does not run"},
		Nomad:    "The parts of these GPUs are unhealthy and not handed out; all other GPUs are as they were.",
		Lost:     "Nothing of the plugin's. What the daemon's end does to running tasks is between it and CUDA.",
		Recovery: "By itself, when the daemon is back.",
	},
	{
		Name:     "the port of the metrics is taken",
		How:      "Another process listens at the address in the `metrics` block when the plugin starts, and ends later.",
		Operator: "One warning with the address.",
		Says:     []string{"metrics are not served", "serving metrics"},
		Nomad:    "The same as always.",
		Lost:     "The metrics meanwhile.",
		Recovery: "By itself, when the port is free.",
	},
}
