package config

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// limit reads the tags default, min, max and oneof of a setting that is no block.
func (f *Field) limit(tag reflect.StructTag) error {
	var given bool
	f.Default, given = tag.Lookup("default")
	f.Min, f.Max = tag.Get("min"), tag.Get("max")
	if choices := tag.Get("oneof"); choices != "" {
		f.OneOf = strings.Split(choices, ",")
	}
	if f.OneOf != nil && f.Kind != KindString && f.Kind != KindStrings {
		return fmt.Errorf("a %s cannot have a oneof tag", f.Kind)
	}
	if (f.Min != "" || f.Max != "") && f.Kind != KindInt && f.Kind != KindFloat && f.Kind != KindDuration {
		return fmt.Errorf("a %s cannot have bounds", f.Kind)
	}
	switch f.Kind {
	case KindString, KindStrings, KindStringMap:
	default:
		if !given {
			return errors.New("no default tag")
		}
	}
	var err error
	if f.Min != "" {
		if f.min, err = f.parse(f.Min); err != nil {
			return fmt.Errorf("min tag: %w", err)
		}
	}
	if f.Max != "" {
		if f.max, err = f.parse(f.Max); err != nil {
			return fmt.Errorf("max tag: %w", err)
		}
	}
	if f.min != nil && f.max != nil && compare(f.min, f.max) > 0 {
		return errors.New("min is more than max")
	}
	if f.value, err = f.parse(f.Default); err != nil {
		return fmt.Errorf("default tag: %w", err)
	}
	if _, ok := f.accept(f.value); !ok {
		return fmt.Errorf("default tag: %q is not %s", f.Default, f.want())
	}
	return nil
}

// parse reads the text of a tag.
func (f *Field) parse(text string) (any, error) {
	switch f.Kind {
	case KindBool:
		return strconv.ParseBool(text)
	case KindString:
		return text, nil
	case KindInt:
		return strconv.ParseInt(text, 10, 64)
	case KindFloat:
		return strconv.ParseFloat(text, 64)
	case KindDuration:
		return time.ParseDuration(text)
	case KindSpan:
		return ParseSpan(text)
	case KindStrings:
		if text == "" {
			return []string(nil), nil
		}
		return strings.Split(text, ","), nil
	case KindStringMap:
		return parseMap(text)
	default:
		return nil, fmt.Errorf("a %s has no text", f.Kind)
	}
}

func parseMap(text string) (map[string]string, error) {
	if text == "" {
		return nil, nil
	}
	m := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("%q is not of the form key=value", pair)
		}
		m[key] = value
	}
	return m, nil
}

// accept checks a value of the right type against the bounds and the choices. It
// returns the value, or the part of it, that is not allowed.
func (f *Field) accept(value any) (culprit any, ok bool) {
	switch v := value.(type) {
	case string:
		if f.OneOf != nil && !slices.Contains(f.OneOf, v) {
			return v, false
		}
	case []string:
		for _, element := range v {
			if f.OneOf != nil && !slices.Contains(f.OneOf, element) {
				return element, false
			}
		}
	case time.Duration:
		if v < 0 {
			return v, false
		}
	}
	if f.min != nil && compare(value, f.min) < 0 || f.max != nil && compare(value, f.max) > 0 {
		return value, false
	}
	return nil, true
}

// compare orders two values of one kind that has bounds.
func compare(a, b any) int {
	switch a := a.(type) {
	case int64:
		return cmp.Compare(a, b.(int64))
	case float64:
		return cmp.Compare(a, b.(float64))
	case time.Duration:
		return cmp.Compare(a, b.(time.Duration))
	default:
		return 0
	}
}

// want says in words what the setting can be.
func (f *Field) want() string {
	switch f.Kind {
	case KindBool:
		return "true or false"
	case KindString:
		if f.OneOf != nil {
			return "one of " + quoteAll(f.OneOf)
		}
		return "a string"
	case KindInt:
		return "a whole number" + f.bounds("")
	case KindFloat:
		return "a number" + f.bounds("")
	case KindDuration:
		if f.Min == "" && f.Max == "" {
			return `a duration such as "30s"`
		}
		return "a duration" + f.bounds(`"`)
	case KindSpan:
		return wantSpan
	case KindStrings:
		if f.OneOf != nil {
			return "a list of strings out of " + quoteAll(f.OneOf)
		}
		return `a list of strings such as ["a", "b"]`
	case KindStringMap:
		return `a map of strings such as { a = "b" }`
	case KindBlock:
		return "one block " + f.Key + " { … }"
	default:
		return "blocks " + f.Key + " { … }"
	}
}

// bounds says in words which bounds there are, with marks around each.
func (f *Field) bounds(mark string) string {
	switch {
	case f.Min != "" && f.Max != "":
		return " from " + mark + f.Min + mark + " to " + mark + f.Max + mark
	case f.Min != "":
		return " of at least " + mark + f.Min + mark
	case f.Max != "":
		return " of at most " + mark + f.Max + mark
	default:
		return ""
	}
}

func quoteAll(texts []string) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = strconv.Quote(text)
	}
	return strings.Join(quoted, ", ")
}

// set puts a value of the field's kind into the struct's field. Lists and maps
// are copied, so that no two configurations share one.
func (f *Field) set(into reflect.Value, value any) {
	switch v := value.(type) {
	case bool:
		into.SetBool(v)
	case string:
		into.SetString(v)
	case int64:
		into.SetInt(v)
	case float64:
		into.SetFloat(v)
	case time.Duration:
		into.SetInt(int64(v))
	case Span:
		into.Set(reflect.ValueOf(v))
	case []string:
		into.SetZero()
		for _, element := range v {
			into.Set(reflect.Append(into, reflect.ValueOf(element).Convert(into.Type().Elem())))
		}
	case map[string]string:
		into.SetZero()
		if len(v) == 0 {
			return
		}
		into.Set(reflect.MakeMapWithSize(into.Type(), len(v)))
		for key, element := range v {
			into.SetMapIndex(reflect.ValueOf(key).Convert(into.Type().Key()), reflect.ValueOf(element).Convert(into.Type().Elem()))
		}
	}
}
