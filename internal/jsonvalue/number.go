package jsonvalue

import (
	"bytes"
	"math"
	"strconv"

	"github.com/hubbub-go/hubbub"
)

// errNotFinite is the sentence of ASP.NET Core for NaN and the infinities, which JSON cannot write.
var errNotFinite = hubbub.Classify("ArgumentException", nil,
	".NET number values such as positive and negative infinity cannot be written as valid JSON.")

// appendFloat writes a number: in the classic form one that shows that it is no integer, and texts for what is no number.
func (c *Codec) appendFloat(dst []byte, f float64, bits int) ([]byte, error) {
	if !c.classic {
		return appendFloat(dst, f, bits)
	}
	switch {
	case math.IsNaN(f):
		return append(dst, `"NaN"`...), nil
	case math.IsInf(f, 1):
		return append(dst, `"Infinity"`...), nil
	case math.IsInf(f, -1):
		return append(dst, `"-Infinity"`...), nil
	}
	start := len(dst)
	dst, err := appendFloat(dst, f, bits)
	if !bytes.ContainsAny(dst[start:], ".E") {
		dst = append(dst, ".0"...)
	}
	return dst, err
}

// appendFloat writes the shortest text that reads back as f, in the form of .NET: 1, -0, 0.1, 1E+21, 1E-07.
func appendFloat(dst []byte, f float64, bits int) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return dst, errNotFinite
	}
	var space [32]byte
	text := strconv.AppendFloat(space[:0], f, 'e', -1, bits)
	if text[0] == '-' {
		dst = append(dst, '-')
		text = text[1:]
	}
	// Text is d[.ddd]e±xx
	e := len(text) - 1
	for text[e] != 'e' {
		e--
	}
	exponent, _ := strconv.Atoi(string(text[e+1:]))
	all := text[:1]
	if e > 1 {
		all = append(all, text[2:e]...) // over the point
	}
	precision := 15
	if bits == 32 {
		precision = 7
	}
	point := exponent + 1 // digits before it
	switch {
	case point > max(len(all), precision) || point < -3:
		dst = append(dst, all[0])
		if len(all) > 1 {
			dst = append(append(dst, '.'), all[1:]...)
		}
		return appendExponent(dst, exponent), nil
	case point <= 0:
		dst = append(dst, '0')
		if len(all) == 1 && all[0] == '0' {
			return dst, nil
		}
		dst = append(dst, '.')
		for ; point < 0; point++ {
			dst = append(dst, '0')
		}
		return append(dst, all...), nil
	case point >= len(all):
		dst = append(dst, all...)
		for range point - len(all) {
			dst = append(dst, '0')
		}
		return dst, nil
	default:
		dst = append(append(dst, all[:point]...), '.')
		return append(dst, all[point:]...), nil
	}
}

func appendExponent(dst []byte, exponent int) []byte {
	sign := byte('+')
	if exponent < 0 {
		sign, exponent = '-', -exponent
	}
	dst = append(dst, 'E', sign)
	if exponent < 10 {
		dst = append(dst, '0')
	}
	return strconv.AppendInt(dst, int64(exponent), 10)
}
