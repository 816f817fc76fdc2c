// Package conformance checks a device plugin against the contract that Nomad
// holds it to, and against what a node needs beyond that.
//
// The rules are one table of cases, see [Cases]. A case says what a plugin must
// do, what Nomad does to one that does not, where that can be read, and how to
// mend it. The cases run against a live plugin over gRPC, as Nomad talks to it:
// a binary ([Binary]), or an implementation in the test's own process
// ([InProcess]).
//
// In a plugin's own tests this takes a few lines:
//
//	func TestConformance(t *testing.T) {
//		conformance.Run(t, conformance.InProcess(func() (conformance.Plugin, func()) {
//			return myplugin.New(), func() {}
//		}), conformance.Options{})
//	}
//
// [Check] does the same without a test and returns a [Report]; "devctl check" is
// a command line around it.
//
// What a plugin does when its hardware breaks can be checked when the caller can
// break it: see [Hardware].
package conformance
