// Package top is the view of `devctl top`: all devices of a node with their
// load, memory, heat and power, live.
//
// A [Screen] is fed with a [Report] whenever something is known, and with keys,
// and gives the text to show. It knows no terminal, no plugin and no agent.
// [Live] puts it onto a terminal. Where reports come from is the business of
// package source.
package top
