package config

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// convert turns a value of a decoded message into one of the field's kind.
func (f *Field) convert(raw any) (value any, ok bool) {
	switch f.Kind {
	case KindBool:
		return asBool(raw)
	case KindString:
		return asText(raw)
	case KindInt:
		return asInt(raw)
	case KindFloat:
		return asFloat(raw)
	case KindDuration:
		if text, ok := asText(raw); ok {
			value, err := time.ParseDuration(text)
			return value, err == nil
		}
	case KindSpan:
		if text, ok := asText(raw); ok {
			value, err := ParseSpan(text)
			return value, err == nil
		}
	case KindStrings:
		return asStrings(raw)
	case KindStringMap:
		return asStringMap(raw)
	}
	return nil, false
}

// asText returns a text. Numbers and booleans are texts too, as in HCL. What is
// not UTF-8, or holds a NUL byte and so cannot be a path or a variable, is not.
func asText(raw any) (string, bool) {
	switch v := raw.(type) {
	case string:
		return v, utf8.ValidString(v) && !strings.ContainsRune(v, 0)
	case []byte:
		return asText(string(v))
	case bool:
		return strconv.FormatBool(v), true
	}
	switch v := reflect.ValueOf(raw); {
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10), true
	case v.CanUint():
		return strconv.FormatUint(v.Uint(), 10), true
	case v.CanFloat():
		return strconv.FormatFloat(v.Float(), 'f', -1, 64), true
	default:
		return "", false
	}
}

func asBool(raw any) (bool, bool) {
	switch text, _ := asText(raw); text {
	case "true":
		return true, true
	case "false":
		return false, true
	default:
		return false, false
	}
}

func asInt(raw any) (int64, bool) {
	if v := reflect.ValueOf(raw); v.CanFloat() {
		// 2^63 itself is the first float that is too large.
		if n := v.Float(); n == math.Trunc(n) && n >= math.MinInt64 && n < -math.MinInt64 {
			return int64(n), true
		}
		return 0, false
	}
	text, _ := asText(raw)
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

func asFloat(raw any) (float64, bool) {
	text, _ := asText(raw)
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil && !math.IsNaN(n) && !math.IsInf(n, 0)
}

func asStrings(raw any) ([]string, bool) {
	v := reflect.ValueOf(raw)
	if v.Kind() != reflect.Slice || v.Type().Elem().Kind() == reflect.Uint8 {
		return nil, false
	}
	list := make([]string, v.Len())
	for i := range list {
		var ok bool
		if list[i], ok = asText(v.Index(i).Interface()); !ok {
			return nil, false
		}
	}
	return list, true
}

func asStringMap(raw any) (map[string]string, bool) {
	blocks, ok := asBlocks(raw)
	if !ok || len(blocks) > 1 {
		return nil, false
	}
	m := map[string]string{}
	for _, block := range blocks {
		for key, given := range block {
			text, ok := asText(given)
			if _, keyOK := asText(key); !ok || !keyOK {
				return nil, false
			}
			m[key] = text
		}
	}
	return m, true
}

// asBlocks returns the maps that raw holds: itself, or the elements of a list.
func asBlocks(raw any) ([]map[string]any, bool) {
	v := reflect.ValueOf(raw)
	switch v.Kind() {
	case reflect.Map:
		block, ok := asBlock(v)
		return []map[string]any{block}, ok
	case reflect.Slice:
		blocks := make([]map[string]any, 0, v.Len())
		for i := range v.Len() {
			element := v.Index(i)
			if element.Kind() == reflect.Interface {
				element = element.Elem()
			}
			block, ok := asBlock(element)
			if !ok {
				return nil, false
			}
			blocks = append(blocks, block)
		}
		return blocks, true
	default:
		return nil, false
	}
}

// asBlock returns a map with keys that are texts in one way or another.
func asBlock(v reflect.Value) (map[string]any, bool) {
	if v.Kind() != reflect.Map {
		return nil, false
	}
	if block, ok := reflect.TypeAssert[map[string]any](v); ok {
		return block, true
	}
	block := make(map[string]any, v.Len())
	for iter := v.MapRange(); iter.Next(); {
		key, ok := asText(iter.Key().Interface())
		if !ok {
			return nil, false
		}
		block[key] = iter.Value().Interface()
	}
	return block, true
}

// show returns what was given, as an operator would write it, cut to what fits a
// line.
func show(given any) string {
	if d, ok := given.(time.Duration); ok {
		return quoteDuration(d)
	}
	if v := reflect.ValueOf(given); v.Kind() == reflect.Map {
		return "{ … }"
	}
	if list, ok := asStrings(given); ok {
		return clip("[" + quoteAll(list) + "]")
	}
	if v := reflect.ValueOf(given); v.Kind() == reflect.Slice && v.Type().Elem().Kind() != reflect.Uint8 {
		return fmt.Sprintf("a list of %d", v.Len())
	}
	switch v := given.(type) {
	case nil:
		return "null"
	case string:
		return clip(strconv.Quote(v))
	case []byte:
		return clip(strconv.Quote(string(v)))
	}
	if text, ok := asText(given); ok {
		return text
	}
	return fmt.Sprintf("a value of type %T", given)
}

// clip cuts a text that is too long for a line.
func clip(text string) string {
	const most = 100
	if len(text) <= most {
		return text
	}
	cut := most
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

// printable returns a key as it can be shown: itself unless it holds what no key
// does.
func printable(key string) string {
	if keyPattern.MatchString(key) {
		return clip(key)
	}
	return clip(strconv.Quote(key))
}

// nearest returns the key of the fields that is most like an unknown one, or
// nothing if none is like it.
func nearest(key string, fields []Field) string {
	best, least := "", 3 // more than two slips are another word
	for i := range fields {
		if n := distance(key, fields[i].Key); n < least {
			best, least = fields[i].Key, n
		}
	}
	return best
}

// distance returns how many letters must be changed, added or removed to turn a
// into b.
func distance(a, b string) int {
	if most := max(len(a), len(b)); most > 2*min(len(a), len(b))+2 {
		return most // far off, and not worth the time
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
