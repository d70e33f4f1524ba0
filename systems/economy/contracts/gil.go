package contracts

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Gil is an amount of the currency, in millionths: six digits behind the point are exact. Its JSON form is a plain decimal
// number.
type Gil int64

// OneGil is 1 gil.
const OneGil Gil = 1_000_000

// ParseGil reads a decimal number without exponent.
func ParseGil(s string) (Gil, error) {
	bad := func(why string) (Gil, error) {
		return 0, fmt.Errorf("amount %q %s, want a decimal number with at most six digits behind the point", s[:min(len(s), 40)], why)
	}
	digits, negative := strings.CutPrefix(s, "-")
	whole, fraction, point := strings.Cut(digits, ".")
	if whole == "" || point && fraction == "" {
		return bad("lacks digits")
	}
	fraction = strings.TrimRight(fraction, "0")
	if len(fraction) > 6 {
		return bad("is too fine")
	}
	for _, c := range whole + fraction {
		if c < '0' || c > '9' {
			return bad("is no number")
		}
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n > math.MaxInt64/int64(OneGil)-1 {
		return bad("is too large")
	}
	n *= int64(OneGil)
	if fraction != "" {
		f, err := strconv.ParseInt(fraction+"000000"[len(fraction):], 10, 64)
		if err != nil {
			return bad("is no number")
		}
		n += f
	}
	if negative {
		n = -n
	}
	return Gil(n), nil
}

// String returns the amount as a decimal number.
func (g Gil) String() string {
	n, sign := uint64(g), ""
	if g < 0 {
		n, sign = -n, "-"
	}
	s := sign + strconv.FormatUint(n/uint64(OneGil), 10)
	if rest := n % uint64(OneGil); rest > 0 {
		s += strings.TrimRight(fmt.Sprintf(".%06d", rest), "0")
	}
	return s
}

// MarshalJSON returns a number.
func (g Gil) MarshalJSON() ([]byte, error) { return []byte(g.String()), nil }

// UnmarshalJSON reads a number; null leaves the amount as it is.
func (g *Gil) UnmarshalJSON(p []byte) error {
	if string(p) == "null" {
		return nil
	}
	n, err := ParseGil(string(p))
	if err != nil {
		return err
	}
	*g = n
	return nil
}
