package pluginclient

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl"
	"github.com/hashicorp/hcl/hcl/ast"
	hcl2 "github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hcldec"
	hcljson "github.com/hashicorp/hcl/v2/json"
	"github.com/hashicorp/nomad/helper/pluginutils/hclspecutils"
	"github.com/hashicorp/nomad/plugins/shared/hclspec"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
	"github.com/zclconf/go-cty/cty/msgpack"
)

// Config is the content of a plugin's config block, as Nomad's agent reads it:
// blocks are lists of maps.
type Config map[string]any

// ParseConfig reads a configuration for the plugin whose file has the given
// name. The text is either the content of the config block itself, or agent
// configuration with a block `plugin "<name>" { config { … } }`; everything
// else in the latter is left alone.
func ParseConfig(text, name string) (Config, error) {
	file, err := hcl.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	root, ok := file.Node.(*ast.ObjectList)
	if !ok {
		return nil, errors.New("reading the configuration: it is not a list of settings")
	}
	blocks := root.Filter("plugin")
	if len(blocks.Items) > 0 {
		return pluginBlock(file, name)
	}
	if only := root.Filter("config"); len(only.Items) == 1 && len(root.Items) == 1 {
		var wrapped struct {
			Config map[string]any `hcl:"config"`
		}
		err := hcl.DecodeObject(&wrapped, file)
		return wrapped.Config, err
	}
	config := Config{}
	if err := hcl.DecodeObject((*map[string]any)(&config), file); err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return config, nil
}

// pluginBlock finds the block that Nomad would use for the plugin: the one that
// is labelled with its file's name.
func pluginBlock(file *ast.File, name string) (Config, error) {
	var agent struct {
		Plugins []struct {
			Name   string         `hcl:",key"`
			Config map[string]any `hcl:"config"`
		} `hcl:"plugin"`
	}
	if err := hcl.DecodeObject(&agent, file); err != nil {
		return nil, fmt.Errorf("reading the agent configuration: %w", err)
	}
	var labels []string
	for _, block := range agent.Plugins {
		if block.Name == name {
			return block.Config, nil
		}
		labels = append(labels, fmt.Sprintf("%q", block.Name))
	}
	return nil, fmt.Errorf("the configuration has plugin blocks for %s and none for %q: Nomad matches the label with the file's name, and would skip this plugin",
		strings.Join(labels, ", "), name)
}

// Set puts one setting, written as key=value, into the configuration. A dot in
// the key descends into a block. The value is HCL (a number, a list, true); what
// is not is taken as text, so that durations need no quotes.
func (c Config) Set(setting string) error {
	path, text, found := strings.Cut(setting, "=")
	path = strings.TrimSpace(path)
	if !found || path == "" {
		return fmt.Errorf("setting %q: want key=value", setting)
	}
	keys := strings.Split(path, ".")
	at := map[string]any(c)
	for _, key := range keys[:len(keys)-1] {
		switch inner := at[key].(type) {
		case nil:
			next := map[string]any{}
			at[key] = next
			at = next
		case map[string]any:
			at = inner
		case []map[string]any:
			if len(inner) != 1 {
				return fmt.Errorf("setting %q: the configuration has %d blocks %q, and it cannot be told which is meant", setting, len(inner), key)
			}
			at = inner[0]
		default:
			return fmt.Errorf("setting %q: %q is not a block", setting, key)
		}
	}
	at[keys[len(keys)-1]] = settingValue(strings.TrimSpace(text))
	return nil
}

func settingValue(text string) any {
	var parsed struct {
		Value any `hcl:"value"`
	}
	if err := hcl.Decode(&parsed, "value = "+text); err != nil || parsed.Value == nil {
		return text
	}
	return parsed.Value
}

// Encode checks a configuration against a plugin's schema and returns it in the
// form that SetConfig takes. It goes the way of Nomad's plugin loader: the value
// becomes JSON, the JSON is read as HCL 2 under the schema, and the result is
// packed with MessagePack.
func Encode(config Config, schema *hclspec.Spec) ([]byte, error) {
	if schema == nil {
		if len(config) > 0 {
			return nil, errors.New("the plugin has no schema, so it takes no configuration")
		}
		return nil, nil
	}
	spec, diags := hclspecutils.Convert(schema)
	if diags.HasErrors() {
		return nil, fmt.Errorf("the plugin's schema is wrong: %w", diagnostics(diags, nil))
	}
	if config == nil {
		config = Config{} // an empty one, so that the defaults apply
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(config); err != nil {
		return nil, err
	}
	file, diags := hcljson.Parse(text.Bytes(), "")
	if diags.HasErrors() {
		return nil, diagnostics(diags, nil)
	}
	value, diags := hcldec.Decode(file.Body, spec, &hcl2.EvalContext{Functions: functions()})
	if diags.HasErrors() {
		return nil, diagnostics(diags, spec)
	}
	packed, err := msgpack.Marshal(value, value.Type())
	if err != nil {
		return nil, fmt.Errorf("packing the configuration: %w", err)
	}
	return packed, nil
}

// diagnostics turns HCL's complaints into errors without the positions, which
// are those of the JSON that nobody wrote.
func diagnostics(diags hcl2.Diagnostics, spec hcldec.Spec) error {
	var errs []error
	foreign := false
	for _, d := range diags {
		if d.Severity != hcl2.DiagError {
			continue
		}
		foreign = foreign || d.Summary == "Extraneous JSON object property"
		errs = append(errs, errors.New(d.Detail))
	}
	if foreign && spec != nil {
		errs = append(errs, fmt.Errorf("known keys: %s", strings.Join(keys(spec), ", ")))
	}
	return errors.Join(errs...)
}

// keys lists the settings and blocks at the top of a schema.
func keys(spec hcldec.Spec) []string {
	schema := hcldec.ImpliedSchema(spec)
	names := map[string]bool{}
	for _, attribute := range schema.Attributes {
		names[attribute.Name] = true
	}
	for _, block := range schema.Blocks {
		names[block.Type] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// functions are those that Nomad offers in a plugin's configuration.
func functions() map[string]function.Function {
	return map[string]function.Function{
		"abs":        stdlib.AbsoluteFunc,
		"coalesce":   stdlib.CoalesceFunc,
		"concat":     stdlib.ConcatFunc,
		"hasindex":   stdlib.HasIndexFunc,
		"int":        stdlib.IntFunc,
		"jsondecode": stdlib.JSONDecodeFunc,
		"jsonencode": stdlib.JSONEncodeFunc,
		"length":     stdlib.LengthFunc,
		"lower":      stdlib.LowerFunc,
		"max":        stdlib.MaxFunc,
		"min":        stdlib.MinFunc,
		"reverse":    stdlib.ReverseFunc,
		"strlen":     stdlib.StrlenFunc,
		"substr":     stdlib.SubstrFunc,
		"upper":      stdlib.UpperFunc,
	}
}
