// Package release holds the tests of what build/release and .goreleaser.yaml
// make.
//
// The quick ones hold the files against each other and against the Makefile. With
// -snapshot, which "make release-test" sets, two releases are built, compared,
// installed, removed and run. That takes minutes, needs what docs/releasing.md
// lists, and for packages and Nomad root.
package release
