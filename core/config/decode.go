package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// Defaults returns a T with every setting at its default. It panics if the tags
// of T are wrong, which [Check] finds in a test.
func Defaults[T any]() *T {
	config := new(T)
	schema, err := SchemaOf(config)
	if err != nil {
		panic(err)
	}
	setDefaults(schema.Fields, reflect.ValueOf(config).Elem())
	return config
}

func setDefaults(fields []Field, into reflect.Value) {
	for i := range fields {
		f := &fields[i]
		v := into.FieldByIndex(f.index)
		switch f.Kind {
		case KindBlock:
			setDefaults(f.Fields, v)
		case KindBlocks:
			v.SetZero()
		default:
			f.set(v, f.value)
		}
	}
}

// Decode puts a configuration into the struct that into points to. What is not
// given has its default: nothing of what the struct held before is kept.
//
// raw is what Nomad hands a plugin, decoded into a map: a missing key and nil both
// mean the default; numbers may have any of Go's types; a string may be bytes; a
// block is a map, or a list of maps. Between strings, numbers and booleans values
// are converted as HCL converts them.
//
// If anything is wrong the error is an [*Error] with all problems, in the order of
// the struct, and the struct is left as it was.
func Decode(raw map[string]any, into Config) error {
	target := reflect.ValueOf(into)
	if target.Kind() != reflect.Pointer || target.IsNil() || target.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("config: %T is not a pointer to a struct", into)
	}
	schema, err := SchemaOf(into)
	if err != nil {
		return err
	}
	fresh := reflect.New(target.Elem().Type())
	setDefaults(schema.Fields, fresh.Elem())
	var d decoder
	d.block("", schema.Fields, raw, fresh.Elem())
	d.rules("", schema.Fields, fresh.Elem())
	if len(d.problems) > 0 {
		return &Error{Problems: d.problems}
	}
	target.Elem().Set(fresh.Elem())
	return nil
}

// decoder gathers the problems of one Decode.
type decoder struct {
	problems []Problem
}

func (d *decoder) add(key string, given any, want string) {
	d.problems = append(d.problems, Problem{Key: key, Given: show(given), Want: want})
}

// block decodes the settings of one struct, whose values are at their defaults.
func (d *decoder) block(prefix string, fields []Field, raw map[string]any, into reflect.Value) {
	known := make(map[string]bool, len(fields))
	for i := range fields {
		f := &fields[i]
		known[f.Key] = true
		if given := raw[f.Key]; given != nil {
			d.field(prefix+f.Key, f, given, into.FieldByIndex(f.index))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(raw)) {
		if !known[key] {
			d.problems = append(d.problems, Problem{
				Key: prefix + printable(key), Given: show(raw[key]), Want: nearest(key, fields), Unknown: true,
			})
		}
	}
}

func (d *decoder) field(key string, f *Field, given any, into reflect.Value) {
	switch f.Kind {
	case KindBlock:
		blocks, ok := asBlocks(given)
		if !ok || len(blocks) > 1 {
			d.add(key, given, f.want())
			return
		}
		for _, block := range blocks {
			d.block(key+".", f.Fields, block, into)
		}
	case KindBlocks:
		blocks, ok := asBlocks(given)
		if !ok {
			d.add(key, given, f.want())
			return
		}
		list := reflect.MakeSlice(into.Type(), len(blocks), len(blocks))
		for i, block := range blocks {
			setDefaults(f.Fields, list.Index(i))
			d.block(fmt.Sprintf("%s[%d].", key, i), f.Fields, block, list.Index(i))
		}
		if len(blocks) > 0 {
			into.Set(list)
		}
	default:
		value, ok := f.convert(given)
		if !ok {
			d.add(key, given, f.want())
			return
		}
		if culprit, ok := f.accept(value); !ok {
			if f.Kind != KindStrings {
				culprit = given // as it was written
			}
			d.add(key, culprit, f.want())
			return
		}
		f.set(into, value)
	}
}

// rules asks the validators of a struct, of those embedded in it and of its
// blocks.
func (d *decoder) rules(prefix string, fields []Field, v reflect.Value) {
	wrong := map[string]bool{}
	for _, problem := range d.problems {
		wrong[problem.Key] = true
	}
	for _, problem := range ask(v) {
		problem.Key = prefix + problem.Key
		if problem.With != "" {
			problem.With = prefix + problem.With
		}
		if !wrong[problem.Key] && !wrong[problem.With] && !slices.Contains(d.problems, problem) {
			d.problems = append(d.problems, problem)
		}
	}
	for i := range fields {
		f := &fields[i]
		switch f.Kind {
		case KindBlock:
			d.rules(prefix+f.Key+".", f.Fields, v.FieldByIndex(f.index))
		case KindBlocks:
			list := v.FieldByIndex(f.index)
			for i := range list.Len() {
				d.rules(fmt.Sprintf("%s%s[%d].", prefix, f.Key, i), f.Fields, list.Index(i))
			}
		}
	}
}

// ask returns the problems that a struct and those embedded in it see. An
// embedded struct may answer twice, since the outer one inherits its method.
func ask(v reflect.Value) []Problem {
	var problems []Problem
	for i := range v.NumField() {
		if flattened(v.Type().Field(i)) {
			problems = append(problems, ask(v.Field(i))...)
		}
	}
	if validator, ok := reflect.TypeAssert[Validator](v.Addr()); ok {
		problems = append(problems, validator.Validate()...)
	}
	return problems
}

// Check returns what is wrong with the tags of a configuration struct, and with
// its defaults as its own rules see them. It is for the test that every plugin
// has of its configuration.
func Check(v any) error {
	schema, err := SchemaOf(v)
	if err != nil {
		return err
	}
	t := reflect.TypeOf(v)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	fresh := reflect.New(t)
	setDefaults(schema.Fields, fresh.Elem())
	var d decoder
	d.rules("", schema.Fields, fresh.Elem())
	if len(d.problems) > 0 {
		return fmt.Errorf("config: the defaults of %s: %w", t, &Error{Problems: d.problems})
	}
	return nil
}
