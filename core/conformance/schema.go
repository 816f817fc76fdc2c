package conformance

import (
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/plugins/base"
	"github.com/hashicorp/nomad/plugins/shared/hclspec"
)

// setting is a key of a plugin's configuration at its top.
type setting struct {
	key      string
	kind     string // HCL's type of an attribute; "" for a block
	required bool   // it, or something inside it
}

// settingsOf lists the keys that a schema has.
func settingsOf(schema *hclspec.Spec) []setting {
	var all []setting
	attributes := schema.GetObject().GetAttributes()
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		all = append(all, settingOf(attributes[name]))
	}
	return all
}

func settingOf(spec *hclspec.Spec) setting {
	switch {
	case spec.GetDefault() != nil:
		s := settingOf(spec.GetDefault().GetPrimary())
		s.required = false
		return s
	case spec.GetAttr() != nil:
		a := spec.GetAttr()
		return setting{key: a.GetName(), kind: a.GetType(), required: a.GetRequired()}
	case spec.GetBlockAttrs() != nil:
		b := spec.GetBlockAttrs()
		return setting{key: b.GetName(), required: b.GetRequired()}
	case spec.GetBlockValue() != nil:
		b := spec.GetBlockValue()
		return setting{key: b.GetName(), required: b.GetRequired()}
	case spec.GetBlockList() != nil:
		b := spec.GetBlockList()
		return setting{key: b.GetName(), required: b.GetMinItems() > 0}
	case spec.GetBlockSet() != nil:
		b := spec.GetBlockSet()
		return setting{key: b.GetName(), required: b.GetMinItems() > 0}
	case spec.GetBlockMap() != nil:
		return setting{key: spec.GetBlockMap().GetName()}
	default:
		return setting{}
	}
}

// encode is the encoder of [Options] that is used when there is none: it packs
// the settings and, for what is not set, the defaults of the schema. It checks
// nothing.
func encode(schema *hclspec.Spec, settings map[string]any) ([]byte, error) {
	if schema == nil {
		if len(settings) > 0 {
			return nil, errors.New("the plugin has no schema, so it takes no configuration")
		}
		return nil, nil
	}
	var packed []byte
	err := base.MsgPackEncode(&packed, complete(schema.GetObject().GetAttributes(), settings))
	return packed, err
}

// complete adds to settings what the schema says about those that are missing.
func complete(attributes map[string]*hclspec.Spec, settings map[string]any) map[string]any {
	all := maps.Clone(settings)
	if all == nil {
		all = map[string]any{}
	}
	for name, spec := range attributes {
		given, ok := all[name]
		if !ok {
			all[name] = defaultOf(spec)
			continue
		}
		if primary := spec.GetDefault().GetPrimary(); primary != nil {
			spec = primary
		}
		if block, isMap := given.(map[string]any); isMap && spec.GetBlockValue() != nil {
			all[name] = complete(spec.GetBlockValue().GetNested().GetObject().GetAttributes(), block)
		}
	}
	return all
}

// defaultOf returns the value of a setting that is not set; nil if it has none.
func defaultOf(spec *hclspec.Spec) any {
	if spec.GetDefault() == nil {
		return nil
	}
	primary, otherwise := spec.GetDefault().GetPrimary(), spec.GetDefault().GetDefault()
	if value := defaultOf(primary); value != nil {
		return value
	}
	if literal := otherwise.GetLiteral(); literal != nil {
		return literalOf(literal.GetValue())
	}
	return defaultOf(otherwise)
}

var (
	assignment = regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_-]*)\s*=`)
	lineEnd    = regexp.MustCompile(`([^,{\s])\s*\n\s*([^}\s])`)
)

// literalOf reads a literal of HCL, as far as defaults go: numbers, texts,
// truth values, lists, and objects of them.
func literalOf(text string) any {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "{") {
		text = assignment.ReplaceAllString(lineEnd.ReplaceAllString(text, "$1,$2"), `"$1":`)
	}
	var value any
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if decoder.Decode(&value) != nil {
		return nil
	}
	return plainNumbers(value)
}

// plainNumbers turns the numbers in a decoded value into those that a plugin
// expects: whole ones where they are whole.
func plainNumbers(value any) any {
	switch v := value.(type) {
	case json.Number:
		if whole, err := v.Int64(); err == nil {
			return whole
		}
		number, _ := v.Float64()
		return number
	case []any:
		for i := range v {
			v[i] = plainNumbers(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = plainNumbers(v[key])
		}
	}
	return value
}
