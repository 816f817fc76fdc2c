package doctor

import "slices"

// Kinds returns all that the doctor can find, in the order of the links.
func Kinds() []*Kind {
	return slices.Concat(hardwareKinds, nodeKinds, libraryKinds, binaryKinds, configurationKinds, pluginKinds, deviceKinds, agentKinds, jobKinds)
}

// Of the hardware and its driver.
var (
	hardwareFound = &Kind{
		Code: "hardware-found", Link: Hardware, Severity: OK,
		What: "the driver has {count}",
	}
	hardwareAbsent = &Kind{
		Code: "hardware-absent", Link: Hardware, Severity: Warning,
		What: "there is no {hardware} among the PCI functions of this machine",
		Why:  "A plugin can offer only what the kernel has found. A card that is seated badly, has no power, or is switched off in the firmware is not found; in a virtual machine it is not passed through.",
		Mend: "lspci -nn",
	}
	hardwareUnserved = &Kind{
		Code: "hardware-unserved", Link: Hardware, Severity: Note,
		What: "the machine has {count}, and there is no plugin for it",
		Why:  "Nomad itself knows no devices: each vendor's need a plugin. If they are not meant for jobs, all is well.",
		Mend: "install -m 0755 {plugin} {dir}/{plugin}",
	}
	hostUnreadable = &Kind{
		Code: "host-unreadable", Link: Hardware, Severity: Warning,
		What: "it cannot be read: {error}",
		Why:  "Plugins read the same files. What they cannot read they cannot offer.",
		Mend: "mount -t sysfs sysfs /sys; mount -t proc proc /proc",
	}
	moduleMissing = &Kind{
		Code: "module-missing", Link: Hardware, Severity: Problem,
		What: "{count} without a driver: the kernel module {module} is not loaded",
		Why:  "Without its driver a card is a number on the bus. A module is missing after a kernel update for which it was not built, or with Secure Boot and no signature; modprobe says which.",
		Mend: "modprobe {module}",
	}
	driverUnbound = &Kind{
		Code: "driver-unbound", Link: Hardware, Severity: Problem,
		What: "{count} without a driver, though {driver} is loaded",
		Why:  "The driver refused the card, or somebody unbound it. The kernel's log has the reason.",
		Mend: "journalctl -k -g {address}\necho {address} > /sys/bus/pci/drivers/{driver}/bind",
	}
	driverPassthrough = &Kind{
		Code: "driver-passthrough", Link: Hardware, Severity: Problem,
		What: "{count} held by {holder}, for a virtual machine",
		Why:  "What is passed through belongs to a guest, and the plugin finds only what {driver} has.",
		Mend: "echo {driver} > /sys/bus/pci/devices/{address}/driver_override\necho {address} > /sys/bus/pci/devices/{address}/driver/unbind\necho {address} > /sys/bus/pci/drivers_probe",
	}
	driverForeign = &Kind{
		Code: "driver-foreign", Link: Hardware, Severity: Problem,
		What: "{count} held by the driver {holder}",
		Why:  "The plugin finds only what {driver} has, and a function has one driver at a time.",
		Mend: "echo 'blacklist {holder}' > /etc/modprobe.d/{holder}.conf   # then make the initial RAM disk anew, and reboot",
	}
	hardwareKinds = []*Kind{
		hardwareFound, hardwareAbsent, hardwareUnserved, hostUnreadable, moduleMissing, driverUnbound, driverPassthrough, driverForeign,
	}
)

// Of the device nodes.
var (
	nodesThere = &Kind{
		Code: "nodes-there", Link: Nodes, Severity: OK,
		What: "there are {count}",
	}
	nodeMissing = &Kind{
		Code: "node-missing", Link: Nodes, Severity: Problem,
		What: "the node of the {hardware} is not there",
		Why:  "A task is handed the nodes of its devices, and opens them. Nodes are made by udev or by the driver's own tools; in a container only those that it was given are there.",
		Mend: "{command}",
	}
	nodeNotDevice = &Kind{
		Code: "node-not-device", Link: Nodes, Severity: Problem,
		What: "it is {kind} and no device",
		Why:  "Container engines make a directory where a path that they are to mount does not exist. The driver then cannot make its node there.",
		Mend: "rm -r {node} && {command}",
	}
	nodeClosed = &Kind{
		Code: "node-closed", Link: Nodes, Severity: Note,
		What: "not everybody may use it: {owner}",
		Why:  "Nodes keep their owner and mode in a task. Images often run as a user of their own; tasks of the exec and java drivers run as nobody, and get past the mode only by the capability DAC_OVERRIDE, which they have by default.",
		Mend: "user = \"root\"   # in the job's task; or on the host:\necho 'KERNEL==\"{name}\", MODE=\"0666\"' > /etc/udev/rules.d/70-nomad-devices.rules && udevadm control --reload && udevadm trigger",
	}
	nodeKinds = []*Kind{nodesThere, nodeMissing, nodeNotDevice, nodeClosed}
)

// Of the driver's library.
var (
	libraryFits = &Kind{
		Code: "library-fits", Link: Library, Severity: OK,
		What: "the driver's library is {version}, and fits",
	}
	libraryMissing = &Kind{
		Code: "library-missing", Link: Library, Severity: Problem,
		What: "there is no {library}, and the kernel module is {version}",
		Why:  "The plugin asks the driver through this library, which comes with the driver's packages and not with the kernel module.",
		Mend: "apt-get install libnvidia-ml1   # or libnvidia-compute-<branch> on Ubuntu, nvidia-driver-cuda-libs on Red Hat; of the module's version",
	}
	libraryElsewhere = &Kind{
		Code: "library-elsewhere", Link: Library, Severity: Problem,
		What: "the library is in {dir}, where the system does not look",
		Why:  "The plugin leaves the search to the dynamic linker, whose cache and directories do not have it.",
		Mend: "nvml_library = \"{file}\"   # in the plugin's config block; or for all programs:\necho {dir} > /etc/ld.so.conf.d/nvidia.conf && ldconfig",
	}
	libraryUnusable = &Kind{
		Code: "library-unusable", Link: Library, Severity: Problem,
		What: "the library cannot be used: {error}",
		Why:  "The plugin would fail to load it, and offer no GPU.",
		Mend: "nvml_library = \"\"   # in the plugin's config block: the system's own; or the path of a library for this machine",
	}
	libraryMismatch = &Kind{
		Code: "library-mismatch", Link: Library, Severity: Problem,
		What: "the library is version {library}, the kernel module {module}",
		Why:  "NVIDIA's driver refuses a library of another version. This is so after an update of the packages, until the new module is loaded.",
		Mend: "reboot   # or, when nothing uses a GPU: rmmod nvidia_drm nvidia_modeset nvidia_uvm nvidia && modprobe nvidia",
	}
	libraryKinds = []*Kind{libraryFits, libraryMissing, libraryElsewhere, libraryUnusable, libraryMismatch}
)

// Of the plugin's binary.
var (
	binaryRuns = &Kind{
		Code: "binary-runs", Link: Binary, Severity: OK,
		What: "it is a program for this machine",
	}
	pluginDirUnreadable = &Kind{
		Code: "plugin-dir-unreadable", Link: Binary, Severity: Problem,
		What: "the agent looks for plugins here, and it cannot be read: {error}",
		Why:  "A plugin_dir that does not exist is one line in the agent's log; one that cannot be read keeps the agent from starting.",
		Mend: "install -d -m 0755 {dir}   # or in the agent's configuration, where the plugins are:\nplugin_dir = \"<directory>\"",
	}
	pluginDirEmpty = &Kind{
		Code: "plugin-dir-empty", Link: Binary, Severity: Problem,
		What: "there is no plugin in the agent's plugin_dir",
		Why:  "Device plugins are not part of Nomad. The agent loads those that lie in this directory.",
		Mend: "install -m 0755 <plugin> {dir}/",
	}
	pluginMissing = &Kind{
		Code: "plugin-missing", Link: Binary, Severity: Problem,
		What: "there is no such plugin{meant}",
		Why:  "The agent loads the files that lie in its plugin_dir, {dir}, under the name of the file.",
		Mend: "install -m 0755 {name} {dir}/{name}",
	}
	entryDirectory = &Kind{
		Code: "entry-directory", Link: Binary, Severity: Problem,
		What: "it is a directory, and Nomad skips it",
		Why:  "The plugin's binary lies in plugin_dir itself; the agent does not look further down.",
		Mend: "install -m 0755 {inner} {dir}/{name}.new && rm -r {file} && mv {dir}/{name}.new {dir}/{name}",
	}
	entryArchive = &Kind{
		Code: "entry-archive", Link: Binary, Severity: Problem,
		What: "it is an archive, not a plugin",
		Why:  "Nomad loads programs. It does not unpack anything.",
		Mend: "unzip {file} -d {dir}   # or tar -xf, dpkg -i, rpm -i; then remove the archive",
	}
	entryNotExecutable = &Kind{
		Code: "entry-not-executable", Link: Binary, Severity: Problem,
		What: "it is not executable (mode {mode}), and Nomad skips it",
		Why:  "Nomad skips files that nobody may execute, with a warning in its log.",
		Mend: "chmod 0755 {file}",
	}
	entryDangling = &Kind{
		Code: "entry-dangling", Link: Binary, Severity: Problem,
		What: "it is a link that leads nowhere",
		Why:  "Nomad's agent does not start while it cannot look at an entry of its plugin_dir.",
		Mend: "rm {file}",
	}
	binaryNotProgram = &Kind{
		Code: "binary-not-program", Link: Binary, Severity: Problem,
		What: "it is no program: {error}",
		Why:  "A plugin that cannot be started keeps the agent from starting. Downloads that broke off, and error pages saved under the plugin's name, look like this.",
		Mend: "file {file}   # then fetch it again, and compare its checksum",
	}
	binaryArchitecture = &Kind{
		Code: "binary-architecture", Link: Binary, Severity: Problem,
		What: "it is a program for {is}, and this machine is {want}",
		Why:  "The kernel does not run it, and an agent whose plugin cannot be started does not start.",
		Mend: "uname -m   # then install the plugin's release for linux_{want}",
	}
	binaryLoader = &Kind{
		Code: "binary-loader", Link: Binary, Severity: Problem,
		What: "it needs the dynamic linker {loader}, which is not there",
		Why:  "The program was linked for another C library than the host's: one for glibc does not run on Alpine. The kernel then says \"no such file\" of a file that is there.",
		Mend: "apk add gcompat   # on Alpine, for plugins without cgo; or build the plugin on this system",
	}
	binaryGlibc = &Kind{
		Code: "binary-glibc", Link: Binary, Severity: Problem,
		What: "it needs glibc {needs}, and the host has {has}",
		Why:  "A program runs with the C library that it was built against or a newer one.",
		Mend: "make build   # on a system as old as this one; or a release for it",
	}
	binaryWritable = &Kind{
		Code: "binary-writable", Link: Binary, Severity: Warning,
		What: "others than its owner may change it (mode {mode})",
		Why:  "The agent runs it as root, so who can write it is root.",
		Mend: "chmod go-w {file}",
	}
	binaryKinds = []*Kind{
		binaryRuns, pluginDirUnreadable, pluginDirEmpty, pluginMissing, entryDirectory, entryArchive, entryNotExecutable, entryDangling,
		binaryNotProgram, binaryArchitecture, binaryLoader, binaryGlibc, binaryWritable,
	}
)

// Of the agent's configuration.
var (
	blockFound = &Kind{
		Code: "block-found", Link: Configuration, Severity: OK,
		What: "the block is in {source}, and its label is the name of a file in plugin_dir",
	}
	configNone = &Kind{
		Code: "config-none", Link: Configuration, Severity: Note,
		What: "no configuration was given, and none was found",
		Why:  "Without it nobody knows where the agent looks for plugins and which it loads.",
		Mend: "devctl doctor --agent-config /etc/nomad.d   # or --nomad, to ask the running agent",
	}
	configUnreadable = &Kind{
		Code: "config-unreadable", Link: Configuration, Severity: Problem,
		What: "it cannot be read: {error}",
		Why:  "The agent does not start with a configuration that it cannot read.",
		Mend: "nomad config validate {file}",
	}
	configEmpty = &Kind{
		Code: "config-empty", Link: Configuration, Severity: Warning,
		What: "the directory has no file whose name ends in .hcl or .json",
		Why:  "Of a directory Nomad reads these files alone, and those of no directory below.",
		Mend: "ls -l {dir}",
	}
	configSkipped = &Kind{
		Code: "config-skipped", Link: Configuration, Severity: Warning,
		What: "it has a plugin block, and Nomad does not read it",
		Why:  "Of a directory Nomad reads the files whose names end in .hcl or .json.",
		Mend: "mv {file} {file}.hcl",
	}
	clientDisabled = &Kind{
		Code: "client-disabled", Link: Configuration, Severity: Problem,
		What: "the agent is no client",
		Why:  "Only clients have devices and load plugins.",
		Mend: "client {\n  enabled = true\n}",
	}
	pluginDirUnknown = &Kind{
		Code: "plugin-dir-unknown", Link: Configuration, Severity: Problem,
		What: "neither plugin_dir nor data_dir is set",
		Why:  "Plugins are in plugin_dir, or without it in <data_dir>/plugins. An agent with neither loads none.",
		Mend: "plugin_dir = \"/opt/nomad/plugins\"",
	}
	blockMissing = &Kind{
		Code: "block-missing", Link: Configuration, Severity: Problem,
		What: "no plugin block has the label \"{name}\"",
		Why:  "Nomad loads a plugin only if a block has its file's name as the label. Else it says so in one line of its log and goes on without.",
		Mend: "plugin \"{name}\" {\n  config {}\n}",
	}
	blockMisspelt = &Kind{
		Code: "block-misspelt", Link: Configuration, Severity: Problem,
		What: "the label of this block in {source} is no file's name; the file is called \"{name}\"",
		Why:  "Nomad matches the label with the name of the file, and skips a file that no label names.",
		Mend: "plugin \"{name}\" {   # instead of plugin \"{block}\"",
	}
	blockWithoutFile = &Kind{
		Code: "block-without-file", Link: Configuration, Severity: Problem,
		What: "the block in {source} is for a plugin that is not in plugin_dir{elsewhere}",
		Why:  "Nomad loads the files that it finds. A block without one does nothing, and nothing is said of it.",
		Mend: "install -m 0755 {name} {file}",
	}
	blockTwice = &Kind{
		Code: "block-twice", Link: Configuration, Severity: Warning,
		What: "there are two blocks with this label, in {first} and in {second}",
		Why:  "Nomad does not merge their settings: the later config block stands alone, and what only the earlier one has is lost.",
		Mend: "plugin \"{name}\" {   # one block, with all settings",
	}
	blockArgs = &Kind{
		Code: "block-args", Link: Configuration, Severity: Note,
		What: "the plugin is started with the arguments {args}",
		Why:  "Plugins take their settings from the config block. Those of this project ignore arguments.",
		Mend: "args = []   # or without the line",
	}
	settingOutside = &Kind{
		Code: "setting-outside", Link: Configuration, Severity: Problem,
		What: "the block in {file} has settings beside its config block: {keys}",
		Why:  "A plugin block has args and config. The agent does not start with anything else in it.",
		Mend: "plugin \"{name}\" {\n  config {\n    {key} = …\n  }\n}",
	}
	settingUnknown = &Kind{
		Code: "setting-unknown", Link: Configuration, Severity: Problem,
		What: "the config block in {source} has the setting \"{key}\", which the plugin does not know{meant}",
		Why:  "The agent does not start when a setting is not in its plugin's schema. Settings that there are: {known}.",
		Mend: "# take \"{key}\" out of the config block of plugin \"{name}\", or name it as the plugin does",
	}
	settingRefused = &Kind{
		Code: "setting-refused", Link: Configuration, Severity: Problem,
		What: "the plugin refuses its configuration in {source}: {error}",
		Why:  "The agent does not start when a plugin refuses its configuration.",
		Mend: "# set it as the plugin says, in the config block of plugin \"{name}\"",
	}
	pluginDisabled = &Kind{
		Code: "plugin-disabled", Link: Configuration, Severity: Problem,
		What: "the plugin is switched off in {source}",
		Why:  "A plugin that is not enabled stays loaded and offers no device.",
		Mend: "enabled = true",
	}
	devicesIgnored = &Kind{
		Code: "devices-ignored", Link: Configuration, Severity: Note,
		What: "the configuration in {source} leaves devices out: {ids}",
		Why:  "They are neither offered nor measured.",
		Mend: "ignored_ids = []",
	}
	configurationKinds = []*Kind{
		blockFound, configNone, configUnreadable, configEmpty, configSkipped, clientDisabled, pluginDirUnknown, blockMissing, blockMisspelt,
		blockWithoutFile, blockTwice, blockArgs, settingOutside, settingUnknown, settingRefused, pluginDisabled, devicesIgnored,
	}
)

// Of the plugin as a process.
var (
	pluginAnswers = &Kind{
		Code: "plugin-answers", Link: Plugin, Severity: OK,
		What: "version {version} starts, takes its configuration, and tells its devices; device API {api}",
	}
	doctorUnprivileged = &Kind{
		Code: "doctor-unprivileged", Link: Plugin, Severity: Note,
		What: "it runs as user {uid}, and so do the plugins that it starts",
		Why:  "The agent runs plugins as root. What only root may read is missing here and not there.",
		Mend: "sudo devctl doctor",
	}
	pluginStart = &Kind{
		Code: "plugin-start", Link: Plugin, Severity: Problem,
		What: "the plugin does not start: {error}",
		Why:  "An agent with a plugin that does not start does not start itself.",
		Mend: "devctl inspect {file}   # shows all that the plugin says",
	}
	pluginInfo = &Kind{
		Code: "plugin-info", Link: Plugin, Severity: Problem,
		What: "Nomad does not take the plugin: {error}",
		Why:  "Nomad asks each plugin for its type, its version, and the versions of the API that it speaks.",
		Mend: "devctl check {file}   # names each rule that the plugin breaks",
	}
	pluginName = &Kind{
		Code: "plugin-name", Link: Plugin, Severity: Warning,
		What: "the plugin calls itself \"{is}\", and its file is called \"{name}\"",
		Why:  "Nomad looks for the block by the file's name and goes by the plugin's own name for all else. Where they differ, people look in the wrong place.",
		Mend: "mv {file} $(dirname {file})/{is}   # and the same label for the plugin block",
	}
	pluginSilent = &Kind{
		Code: "plugin-silent", Link: Plugin, Severity: Problem,
		What: "the plugin does not tell its devices: {error}",
		Why:  "Nomad's client waits 50 s for a first message before it is ready. When the stream ends it forgets the plugin's devices until the agent is restarted.",
		Mend: "devctl inspect {file} --log-level debug",
	}
	pluginLogged = &Kind{
		Code: "plugin-logged", Link: Plugin, Severity: Warning,
		What: "the plugin logged {count} of warnings and errors:",
		Why:  "They say what the plugin could not do. In the agent's log the same lines stand among all others.",
		Mend: "journalctl -u nomad -g 'WARN|ERROR'",
	}
	pluginKinds = []*Kind{pluginAnswers, doctorUnprivileged, pluginStart, pluginInfo, pluginName, pluginSilent, pluginLogged}
)

// Of the devices that the plugins offer.
var (
	devicesHealthy = &Kind{
		Code: "devices-healthy", Link: Devices, Severity: OK,
		What: "{healthy} of {count} healthy",
	}
	devicesNone = &Kind{
		Code: "devices-none", Link: Devices, Severity: Problem,
		What: "the plugin runs and offers no device. It says:",
		Why:  "What is wrong is before this link: see what was found of the hardware, the driver and the library.",
		Mend: "devctl inspect {file} --log-level debug",
	}
	deviceUnhealthy = &Kind{
		Code: "device-unhealthy", Link: Devices, Severity: Problem,
		What: "unhealthy, of {group}: {reason}",
		Why:  "Nomad places no task on an unhealthy device. Tasks that have it keep it.",
		Mend: "{remedy}\ndevctl inspect {file} --watch   # shows when it is well again",
	}
	functionNotOffered = &Kind{
		Code: "function-not-offered", Link: Devices, Severity: Warning,
		What: "the driver has {count} that the plugin does not offer",
		Why:  "The plugin found no reason to call it broken, and none to offer it: a GPU that is in MIG mode and has no instance, or of a kind that the plugin's settings leave out.",
		Mend: "devctl inspect {file} --log-level debug",
	}
	devicesTwice = &Kind{
		Code: "devices-twice", Link: Devices, Severity: Problem,
		What: "both {first} and {second} offer it",
		Why:  "Nomad does not notice, counts the devices twice over, and asks either plugin for a reservation.",
		Mend: "rm {file}   # or the other one, with its plugin block",
	}
	reserveRefused = &Kind{
		Code: "reserve-refused", Link: Devices, Severity: Problem,
		What: "the plugin does not give it to a task: {error}",
		Why:  "A task that is placed on it fails at its start.",
		Mend: "devctl inspect {file} --reserve {id}",
	}
	deviceKinds = []*Kind{devicesHealthy, devicesNone, deviceUnhealthy, functionNotOffered, devicesTwice, reserveRefused}
)

// Of the running agent.
var (
	agentAgrees = &Kind{
		Code: "agent-agrees", Link: Agent, Severity: OK,
		What: "Nomad {version} has the same: {count} of devices",
	}
	agentUnreachable = &Kind{
		Code: "agent-unreachable", Link: Agent, Severity: Problem,
		What: "the agent cannot be asked: {error}",
		Why:  "Without the agent there is no node, and no device on it. If it refuses a configuration or a plugin it ends at its start, and says why in its log. With ACLs it asks for a token with node:read and agent:read.",
		Mend: "journalctl -u nomad -e   # or, if it runs elsewhere, set NOMAD_ADDR (it was {address}) and NOMAD_TOKEN",
	}
	agentNoNode = &Kind{
		Code: "agent-no-node", Link: Agent, Severity: Problem,
		What: "there is no node to look at: the agent is a server, or the cluster has no node of the name that was given",
		Why:  "Devices belong to the nodes of clients.",
		Mend: "devctl doctor --nomad --node <name or ID>   # of nomad node status",
	}
	agentStale = &Kind{
		Code: "agent-stale", Link: Agent, Severity: Problem,
		What: "the agent runs with another configuration than the files have: {difference}",
		Why:  "Nomad reads the configuration of plugins at its start alone; reloading does not.",
		Mend: "systemctl restart nomad",
	}
	nodeNotReady = &Kind{
		Code: "node-not-ready", Link: Agent, Severity: Problem,
		What: "the node is {status}",
		Why:  "Nothing is placed on a node that is not ready.",
		Mend: "nomad node status {node}",
	}
	nodeIneligible = &Kind{
		Code: "node-ineligible", Link: Agent, Severity: Problem,
		What: "the node is not eligible for new tasks",
		Why:  "Nothing new is placed on it, whatever devices it has.",
		Mend: "nomad node eligibility -enable {node}",
	}
	nodeDraining = &Kind{
		Code: "node-draining", Link: Agent, Severity: Problem,
		What: "the node is being drained",
		Why:  "Its tasks are moved away, and nothing new is placed on it.",
		Mend: "nomad node drain -disable {node}",
	}
	agentLacksGroup = &Kind{
		Code: "agent-lacks-group", Link: Agent, Severity: Problem,
		What: "{name} offers it, and the node {node} does not have it",
		Why:  "The agent has not loaded the plugin, or has dropped it: when a fingerprint stream ends, Nomad forgets the devices until it is restarted.",
		Mend: "journalctl -u nomad -g '{name}'\nsystemctl restart nomad",
	}
	agentOtherGroup = &Kind{
		Code: "agent-other-group", Link: Agent, Severity: Note,
		What: "the node {node} has it, and no plugin that was looked at offers it",
		Why:  "The agent started its plugin with another binary or another configuration, or the device has just gone.",
		Mend: "devctl doctor --nomad   # without --agent-config: with the agent's own configuration",
	}
	agentDiffers = &Kind{
		Code: "agent-differs", Link: Agent, Severity: Warning,
		What: "the node and the plugin do not agree on it:",
		Why:  "The agent's plugin has been running for longer and knows more, such as events that only it saw; a node is updated some seconds after its plugin. If it stays so, the agent has lost its plugin.",
		Mend: "devctl doctor --nomad   # again in a minute; then systemctl restart nomad",
	}
	agentKinds = []*Kind{
		agentAgrees, agentUnreachable, agentNoNode, agentStale, nodeNotReady, nodeIneligible, nodeDraining, agentLacksGroup, agentOtherGroup, agentDiffers,
	}
)

// Of a job.
var (
	jobFits = &Kind{
		Code: "job-fits", Link: Job, Severity: OK,
		What: "its devices can be had here:",
	}
	jobUnreadable = &Kind{
		Code: "job-unreadable", Link: Job, Severity: Problem,
		What: "the job cannot be read: {error}",
		Why:  "Nomad would refuse it for the same reason.",
		Mend: "nomad job validate {file}",
	}
	jobNoDevice = &Kind{
		Code: "job-no-device", Link: Job, Severity: Note,
		What: "no task of the job asks for a device",
		Why:  "A task is given devices only if it asks for them in its resources. Names there are: {groups}.",
		Mend: "resources {\n  device \"<vendor>/<type>\" {\n    count = 1\n  }\n}",
	}
	jobElsewhere = &Kind{
		Code: "job-elsewhere", Link: Job, Severity: Problem,
		What: "the job wants {what} {wants}, and the node is in {is}",
		Why:  "Nomad looks for devices only on the nodes that a job may run on.",
		Mend: "{line}",
	}
	deviceUnknown = &Kind{
		Code: "device-unknown", Link: Job, Severity: Problem,
		What: "no device has this name. Names there are: {names}",
		Why:  "A request is \"type\", \"vendor/type\" or \"vendor/type/name\", and each part must be equal, capitals included. Parts and shares of a device have a type or a name of their own.",
		Mend: "device \"{meant}\" {",
	}
	constraintFails = &Kind{
		Code: "constraint-fails", Link: Job, Severity: Problem,
		What: "no device of this name satisfies the constraints:",
		Why:  "All constraints of a request must hold on one group of devices.",
		Mend: "{mend}",
	}
	attributeMissing = &Kind{
		Code: "attribute-missing", Link: Job, Severity: Problem,
		What: "a constraint asks for an attribute that the devices do not have{meant}:",
		Why:  "A constraint on an attribute that is missing never holds. {group} has: {known}.",
		Mend: "{mend}",
	}
	constraintUnlike = &Kind{
		Code: "constraint-unlike", Link: Job, Severity: Problem,
		What: "a constraint compares what cannot be compared:",
		Why:  "Nomad reads a literal as a number if it looks like one. A number is not compared with a text, nor one with a unit with one without; the operator version wants a text such as \">= 550\" beside it. None of this is reported: the constraint just never holds.",
		Mend: "{mend}",
	}
	affinityUnmet = &Kind{
		Code: "affinity-unmet", Link: Job, Severity: Note,
		What: "no device has what this affinity prefers, {affinity}:",
		Why:  "An affinity that holds nowhere has no effect. The job can be placed.",
		Mend: "# choose a value that a device has, or leave the affinity out",
	}
	countUnmet = &Kind{
		Code: "count-unmet", Link: Job, Severity: Problem,
		What: "{count} devices are asked for, and {healthy} healthy of {total} fit:",
		Why:  "All devices of a request come from one node and are healthy.",
		Mend: "count = {mosthealthy}",
	}
	countSplit = &Kind{
		Code: "count-split", Link: Job, Severity: Problem,
		What: "{count} devices are asked for, and there are {healthy}, but not of one group:",
		Why:  "Nomad serves a request from one group, so devices of different models do not add up.",
		Mend: "count = {mosthealthy}   # or a task, or a second device block, for each model; or let the plugin group by something wider than the model",
	}
	devicesTaken = &Kind{
		Code: "devices-taken", Link: Job, Severity: Problem,
		What: "{count} devices are asked for, and {most} are free:",
		Why:  "A device belongs to one allocation until that ends. The job waits, and is placed when enough are free.",
		Mend: "nomad alloc stop <allocation>   # or count = {most}",
	}
	requestsCompete = &Kind{
		Code: "requests-compete", Link: Job, Severity: Problem,
		What: "{count} devices are asked for, and other requests of the task group leave {most}:",
		Why:  "The tasks of a group run on one node together, each with devices of its own.",
		Mend: "count = {most}   # or another task group for the task",
	}
	deviceBlocks = &Kind{
		Code: "device-blocks", Link: Job, Severity: Warning,
		What: "the task has {count}",
		Why:  "Each block is reserved by itself, and of a variable that both set the task sees the last alone. A list such as NVIDIA_VISIBLE_DEVICES then names the devices of one block.",
		Mend: "count = 2   # in one block, if the devices are of one group; else use the variables that name one device each",
	}
	driverUndetected = &Kind{
		Code: "driver-undetected", Link: Job, Severity: Problem,
		What: "the task uses the driver {driver}: {state}",
		Why:  "A task is placed only where its driver is detected and healthy.",
		Mend: "nomad node status -verbose {node}   # the driver's section; raw_exec must be enabled in the agent's configuration",
	}
	driverNoNodes = &Kind{
		Code: "driver-no-nodes", Link: Job, Severity: Note,
		What: "the driver {driver} hands over a device's variables and not its nodes: {why}",
		Why:  "The variables keep well-behaved programs to their devices, and keep nobody out.",
		Mend: "driver = \"docker\"   # or exec: they hand over both",
	}
	nobodyExcluded = &Kind{
		Code: "nobody-excluded", Link: Job, Severity: Warning,
		What: "the task runs as nobody without the capability DAC_OVERRIDE, and may not use {nodes}",
		Why:  "Tasks of the {driver} driver run as nobody unless they say otherwise, and nodes keep their owner and mode. By default these tasks have the capability; allow_caps of the client or cap_drop of the task takes it away.",
		Mend: "user = \"root\"   # in the task; or dac_override in allow_caps, or a udev rule that gives the nodes mode 0666",
	}
	runtimeMissing = &Kind{
		Code: "runtime-missing", Link: Job, Severity: Problem,
		What: "the task needs the container runtime {runtime}, and Docker has: {runtimes}",
		Why:  "The plugin sets NVIDIA_VISIBLE_DEVICES, and the docker driver then demands this runtime: 'requested docker runtime \"{runtime}\" was not found'.",
		Mend: "nvidia-ctk runtime configure --runtime=docker && systemctl restart docker\naccess = \"devices\"   # or in the plugin's config block: it hands over the nodes, and needs no runtime",
	}
	runtimeForbidden = &Kind{
		Code: "runtime-forbidden", Link: Job, Severity: Problem,
		What: "the task needs the container runtime {runtime}, which the docker plugin's allow_runtimes does not have",
		Why:  "The docker driver refuses a task whose runtime is not allowed.",
		Mend: "allow_runtimes = [\"{allowed}\"]   # in the config block of plugin \"docker\"",
	}
	runtimeConflict = &Kind{
		Code: "runtime-conflict", Link: Job, Severity: Problem,
		What: "the task sets the container runtime {own}, and its device needs {runtime}",
		Why:  "The docker driver refuses a task with two runtimes.",
		Mend: "runtime = \"{runtime}\"   # in the task's config, or leave the line out",
	}
	jobKinds = []*Kind{
		jobFits, jobUnreadable, jobNoDevice, jobElsewhere, deviceUnknown, constraintFails, attributeMissing, constraintUnlike, affinityUnmet,
		countUnmet, countSplit, devicesTaken, requestsCompete, deviceBlocks, driverUndetected, driverNoNodes, nobodyExcluded,
		runtimeMissing, runtimeForbidden, runtimeConflict,
	}
)
