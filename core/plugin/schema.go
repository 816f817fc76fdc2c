package plugin

import (
	"github.com/hashicorp/nomad/plugins/shared/hclspec"

	"github.com/nomad-devices/nomad-devices/core/config"
)

// schemaOf returns the schema of a configuration in Nomad's form. No key is
// required, and what is not given arrives as null: the defaults are applied when
// the configuration is decoded.
func schemaOf(cfg config.Config) (*hclspec.Spec, error) {
	schema, err := config.SchemaOf(cfg)
	if err != nil {
		return nil, err
	}
	return objectOf(schema.Fields), nil
}

func objectOf(fields []config.Field) *hclspec.Spec {
	attrs := make(map[string]*hclspec.Spec, len(fields))
	for _, f := range fields {
		switch f.Kind {
		case config.KindBlock:
			attrs[f.Key] = hclspec.NewBlock(f.Key, false, objectOf(f.Fields))
		case config.KindBlocks:
			attrs[f.Key] = hclspec.NewBlockList(f.Key, objectOf(f.Fields))
		default:
			attrs[f.Key] = hclspec.NewAttr(f.Key, f.Kind.HCL(), false)
		}
	}
	return hclspec.NewObject(attrs)
}
