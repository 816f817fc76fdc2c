package sysfs

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ReadString returns the text of a file without the white space and NUL bytes
// around it. An empty file gives an empty text. A file that is not UTF-8 is an
// error that wraps [ErrMalformed].
func (f *FS) ReadString(path string) (string, error) { return read(f, path, Text) }

// ReadInt returns the whole number that a file holds, decimal or hexadecimal
// with 0x. Everything else, an empty file too, is an error that wraps
// [ErrMalformed].
func (f *FS) ReadInt(path string) (int64, error) { return read(f, path, Int) }

// ReadUint is [FS.ReadInt] for numbers that are never negative and may need all
// 64 bits.
func (f *FS) ReadUint(path string) (uint64, error) { return read(f, path, Uint) }

// ReadHex returns the hexadecimal number that a file holds, with or without 0x.
func (f *FS) ReadHex(path string) (uint64, error) { return read(f, path, Hex) }

func read[T any](f *FS, path string, parse func([]byte) (T, error)) (T, error) {
	data, err := f.Read(path)
	if err != nil {
		var none T
		return none, err
	}
	value, err := parse(data)
	if err != nil {
		return value, malformed(path, err)
	}
	return value, nil
}

// Text is the parser of [FS.ReadString].
func Text(data []byte) (string, error) {
	text := strings.Trim(string(data), " \t\r\n\v\f\x00")
	if !utf8.ValidString(text) {
		return "", fmt.Errorf("%w: not UTF-8: %s", ErrMalformed, quote(data))
	}
	return text, nil
}

// Int is the parser of [FS.ReadInt].
func Int(data []byte) (int64, error) {
	text, err := Text(data)
	if err != nil {
		return 0, err
	}
	digits, negative := strings.CutPrefix(text, "-")
	digits, base := radix(digits)
	if !plain(digits) {
		return 0, fmt.Errorf("%w: %s is not a whole number", ErrMalformed, quote(data))
	}
	if negative {
		digits = "-" + digits
	}
	n, err := strconv.ParseInt(digits, base, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %s is not a whole number of 64 bits", ErrMalformed, quote(data))
	}
	return n, nil
}

// Uint is the parser of [FS.ReadUint].
func Uint(data []byte) (uint64, error) {
	text, err := Text(data)
	if err != nil {
		return 0, err
	}
	digits, base := radix(text)
	n, err := strconv.ParseUint(digits, base, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %s is not a whole number from 0 on of 64 bits", ErrMalformed, quote(data))
	}
	return n, nil
}

// Hex is the parser of [FS.ReadHex].
func Hex(data []byte) (uint64, error) {
	text, err := Text(data)
	if err != nil {
		return 0, err
	}
	digits, _ := radix(text)
	n, err := strconv.ParseUint(digits, 16, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %s is not a hexadecimal number of 64 bits", ErrMalformed, quote(data))
	}
	return n, nil
}

// radix splits a 0x off a number.
func radix(text string) (digits string, base int) {
	if len(text) > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X') {
		return text[2:], 16
	}
	return text, 10
}

// plain reports whether digits begins with a digit, so that no second sign hides
// behind a first one.
func plain(digits string) bool {
	return digits != "" && digits[0] != '-' && digits[0] != '+'
}

// quote shows the beginning of a file's content in an error.
func quote(data []byte) string {
	const shown = 40
	if len(data) > shown {
		return strconv.QuoteToASCII(string(data[:shown])) + "…"
	}
	return strconv.QuoteToASCII(string(data))
}
