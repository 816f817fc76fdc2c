// Package outside tests what people do with the project outside of it: a module
// of theirs that requires the core, a plugin that devctl new wrote, and the
// tutorial, step by step. It has tests only.
package outside
