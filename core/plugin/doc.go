// Package plugin is the door to Nomad, and the only one: no other package of a
// plugin sees a type of Nomad or of go-plugin.
//
// [Main] turns a [Definition] into a plugin process. Behind it stand the
// adapter, which speaks Nomad's protocol; an engine for each configuration,
// which holds the vendor with its scheduler, its statistics and its
// reservations; and the lifetime of the process.
//
// What Nomad does to a plugin that errs shapes all of it. A stream that ends or
// carries an error costs every device until the agent is restarted, so streams
// here end with their context and never otherwise. One bad value costs all
// groups, so each device is vetted before it is published. A nil in a message
// takes the plugin or the agent down, so none is sent.
package plugin
