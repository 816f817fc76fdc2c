package config

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

// Schema is a configuration struct as data.
type Schema struct {
	// Fields are the settings in the order of the struct.
	Fields []Field
}

// Field is one setting. Default, Min and Max are in the form in which an operator
// writes them, without quotation marks: "1m", "3", "true", "a,b".
type Field struct {
	// Key is the name in the configuration.
	Key string
	// Kind is what the setting holds.
	Kind Kind
	// Doc says what it does, in sentences.
	Doc string
	// Default is the value when the key is not given.
	Default string
	// Min and Max are the bounds, or empty.
	Min, Max string
	// OneOf are the values allowed; none means any.
	OneOf []string
	// Fields are the settings in a block.
	Fields []Field

	index    []int // of the struct's field, see reflect.Value.FieldByIndex
	min, max any   // the bounds as values, or nil
	value    any   // the default as a value
}

// keyPattern is what HCL takes as a name without marks, in the style of Nomad.
var keyPattern = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

// maxDepth bounds blocks in blocks, so that a type that holds itself is an error.
const maxDepth = 8

// SchemaOf returns the schema of a configuration struct, or of a pointer to one.
// Its error lists all mistakes in the struct's tags; it never depends on values.
func SchemaOf(v any) (Schema, error) {
	t := reflect.TypeOf(v)
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Struct {
		return Schema{}, fmt.Errorf("config: %T is not a struct", v)
	}
	fields, err := fieldsOf(t, 0)
	if err != nil {
		return Schema{}, err
	}
	return Schema{Fields: fields}, nil
}

// fieldsOf returns the fields of a struct with embedded structs flattened.
func fieldsOf(t reflect.Type, depth int) ([]Field, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("config: %s: blocks are nested too deeply", t)
	}
	var fields []Field
	var errs []error
	seen := map[string]string{}
	own := ownKeys(t)
	for i := range t.NumField() {
		sf := t.Field(i)
		at := t.String() + "." + sf.Name
		found, err := fieldOf(sf, depth)
		if err != nil {
			errs = append(errs, fmt.Errorf("config: %s: %w", at, err))
			continue
		}
		for _, field := range found {
			if flattened(sf) && extends(own[field.Key], sf.Type.FieldByIndex(field.index).Type) {
				continue
			}
			if other, twice := seen[field.Key]; twice {
				errs = append(errs, fmt.Errorf("config: %s: the key %s is also that of %s", at, field.Key, other))
			}
			seen[field.Key] = at
			field.index = append([]int{i}, field.index...)
			fields = append(fields, field)
		}
	}
	return fields, errors.Join(errs...)
}

// ownKeys returns the types of a struct's own fields by their keys.
func ownKeys(t reflect.Type) map[string]reflect.Type {
	own := map[string]reflect.Type{}
	for sf := range t.Fields() {
		if key, _, _ := strings.Cut(sf.Tag.Get("hcl"), ","); !flattened(sf) {
			own[key] = sf.Type
		}
	}
	return own
}

// extends returns whether a struct's own block may take the place of the block
// with the same key in an embedded struct: it holds all of that one's settings,
// by embedding its struct. Any other field with a key of the embedded struct
// would take a setting away from whoever reads it there.
func extends(own, embedded reflect.Type) bool {
	if own == nil || own.Kind() != embedded.Kind() {
		return false
	}
	if own.Kind() == reflect.Slice {
		own, embedded = own.Elem(), embedded.Elem()
	}
	if own.Kind() != reflect.Struct || embedded.Kind() != reflect.Struct {
		return false
	}
	for sf := range own.Fields() {
		if flattened(sf) && sf.Type == embedded {
			return true
		}
	}
	return false
}

// flattened returns whether the settings of a field's struct count as those of
// the struct around it.
func flattened(sf reflect.StructField) bool {
	_, tagged := sf.Tag.Lookup("hcl")
	return sf.Anonymous && !tagged
}

// fieldOf returns the settings that one field of a struct makes: none, one, or
// those of an embedded struct.
func fieldOf(sf reflect.StructField, depth int) ([]Field, error) {
	tag, tagged := sf.Tag.Lookup("hcl")
	switch {
	case tag == "-":
		return nil, nil
	case flattened(sf):
		if sf.Type.Kind() != reflect.Struct || !sf.IsExported() {
			return nil, errors.New("an embedded field must be an exported struct")
		}
		return fieldsOf(sf.Type, depth+1)
	case !sf.IsExported():
		return nil, errors.New("the field is not exported and not tagged hcl:\"-\"")
	case !tagged:
		return nil, errors.New("no hcl tag")
	}
	key, option, _ := strings.Cut(tag, ",")
	field := Field{Key: key, Doc: sf.Tag.Get("doc")}
	var known bool
	field.Kind, known = kindOf(sf.Type, option == "block")
	switch {
	case !keyPattern.MatchString(key):
		return nil, fmt.Errorf("%q is not a key", key)
	case option != "" && option != "block":
		return nil, fmt.Errorf("unknown option %q in the hcl tag", option)
	case !known:
		return nil, fmt.Errorf("a setting cannot be of type %s", sf.Type)
	case field.Doc == "":
		return nil, errors.New("no doc tag")
	}
	if field.Kind == KindBlock || field.Kind == KindBlocks {
		return blockOf(field, sf, depth)
	}
	err := field.limit(sf.Tag)
	return []Field{field}, err
}

func blockOf(field Field, sf reflect.StructField, depth int) ([]Field, error) {
	for _, name := range []string{"default", "min", "max", "oneof"} {
		if _, ok := sf.Tag.Lookup(name); ok {
			return nil, fmt.Errorf("a block cannot have a %s tag", name)
		}
	}
	t := sf.Type
	if field.Kind == KindBlocks {
		t = t.Elem()
	}
	var err error
	field.Fields, err = fieldsOf(t, depth+1)
	return []Field{field}, err
}
