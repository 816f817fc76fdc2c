// Package docs holds the project's pages to what is so: its tests run or parse
// every block that a page shows, follow every link, and look up every command,
// flag, setting and attribute that is named, so that none of it can rot.
//
// What a new block needs is one line in the table of [blocks_test.go]: what it
// prints when it is run, or why it cannot be run here.
package docs
