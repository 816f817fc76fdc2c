// Package config turns one Go struct into everything that a plugin's
// configuration needs: the schema that Nomad checks against, the defaults, the
// validation, and the table in the documentation.
//
// A vendor embeds [Common] in a struct of its own and tags the fields:
//
//	type Config struct {
//		config.Common
//		Library string `hcl:"library" doc:"File of the driver library, if it is not where the system looks for it."`
//		Access  string `hcl:"access" default:"runtime" oneof:"runtime,devices" doc:"How tasks get a device."`
//	}
//
// # Tags
//
//   - hcl: the key, or "-" for a field that is not configuration. A nested block
//     has ",block" behind its key; it is a struct, or a slice of structs for a
//     block that may be given many times. An embedded struct without the tag is
//     flattened into the one around it. A block of the outer one takes the place of
//     its block with the same key if the outer block's struct embeds that block's.
//   - doc: what the setting does, in sentences. Always needed.
//   - default: the value when the key is not given, in the form in which an
//     operator writes it; lists as "a,b", maps as "k=v,l=w". Needed for all but
//     strings, lists and maps, which are empty without it.
//   - min, max: bounds of numbers and durations. A duration is never negative.
//   - oneof: the values that a string, or each string of a list, may have.
//
// Fields are of the kinds listed at [Kind]. Every key is optional: Nomad's agent
// does not start over a required key that is missing.
//
// # Rules over several settings
//
// A struct that implements [Validator] is asked after decoding; so is each
// embedded one and each block. [Check], called from a vendor's test, finds
// mistakes in the tags; [SchemaOf], [Defaults] and [Decode] rely on it.
package config
