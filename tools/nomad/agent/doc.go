// Package agent runs a real Nomad agent for demonstrations and tests: one
// process that is server and client, on loopback and free ports, with data,
// plugins and log below one directory.
//
// [FindNomad] finds or builds the agent. [Start] starts it, [Agent.Crash],
// [Agent.Stop] and [Agent.Restart] treat it as an operator or a power cut would,
// and [Agent.Close] removes every trace: tasks, executors, mounts and files.
package agent
