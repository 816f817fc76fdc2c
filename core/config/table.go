package config

import (
	"slices"
	"strconv"
	"strings"
)

// Literal returns the default as an HCL expression, as Nomad's hclspec takes it:
// "1m" with its quotation marks, 3, true, ["a"]. It is empty for blocks, whose
// settings have their own.
func (f *Field) Literal() string {
	switch f.Kind {
	case KindBool, KindInt, KindFloat:
		return f.Default
	case KindString, KindDuration, KindSpan:
		return hclQuote(f.Default)
	case KindStrings:
		list, _ := f.value.([]string)
		quoted := make([]string, len(list))
		for i, element := range list {
			quoted[i] = hclQuote(element)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	case KindStringMap:
		m, _ := f.value.(map[string]string)
		pairs := make([]string, 0, len(m))
		for key, value := range m {
			pairs = append(pairs, hclQuote(key)+" = "+hclQuote(value))
		}
		slices.Sort(pairs)
		return "{" + strings.Join(pairs, ", ") + "}"
	default:
		return ""
	}
}

// hclQuote quotes a text for HCL, in which ${ and %{ begin templates.
func hclQuote(text string) string {
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(strconv.Quote(text))
}

// Table returns the Markdown table of a configuration struct: key, type, default,
// allowed values, meaning. It is made from what validation uses, so that the
// documentation cannot differ from the code.
func Table(v any) (string, error) {
	schema, err := SchemaOf(v)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("| Key | Type | Default | Allowed | Meaning |\n|---|---|---|---|---|\n")
	rows(&b, "", schema.Fields)
	return b.String(), nil
}

func rows(b *strings.Builder, prefix string, fields []Field) {
	for i := range fields {
		f := &fields[i]
		literal := f.Literal()
		if literal != "" {
			literal = code(literal)
		}
		for _, cell := range []string{code(prefix + f.Key), f.Kind.String(), literal, f.allowed(), f.Doc} {
			b.WriteString("| ")
			b.WriteString(strings.NewReplacer("|", `\|`, "\n", " ").Replace(cell))
			b.WriteByte(' ')
		}
		b.WriteString("|\n")
		switch f.Kind {
		case KindBlock:
			rows(b, prefix+f.Key+".", f.Fields)
		case KindBlocks:
			rows(b, prefix+f.Key+"[].", f.Fields)
		}
	}
}

// allowed says which values a setting can have, if not all of its type.
func (f *Field) allowed() string {
	quoted := make([]string, len(f.OneOf))
	for i, choice := range f.OneOf {
		quoted[i] = code(hclQuote(choice))
	}
	switch {
	case len(quoted) > 0:
		return strings.Join(quoted, ", ")
	case f.Kind == KindSpan:
		return "`3` (looks) or `\"30s\"` (time), above zero"
	default:
		return strings.TrimPrefix(strings.TrimSpace(f.bounds("`")), "of ")
	}
}

func code(text string) string { return "`" + text + "`" }
