package jsonvalue

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

var (
	errTime     = errors.New("text is not a date and time of ISO 8601")
	errDuration = errors.New("text is not a time span")
)

// appendTime writes a time as System.Text.Json does: up to seven digits of a second, Z for UTC, else the offset.
func appendTime(dst []byte, t time.Time) ([]byte, error) {
	if y := t.Year(); y < 1 || y > 9999 {
		return dst, fmt.Errorf("year %d, want one from 1 to 9999", y)
	}
	dst = t.AppendFormat(append(dst, '"'), "2006-01-02T15:04:05")
	if ticks := t.Nanosecond() / 100; ticks > 0 {
		dst = append(dst, '.')
		for unit := 1_000_000; ticks > 0; unit /= 10 {
			dst = append(dst, '0'+byte(ticks/unit))
			ticks %= unit
		}
	}
	if t.Location() == time.UTC {
		return append(dst, 'Z', '"'), nil
	}
	return append(t.AppendFormat(dst, "-07:00"), '"'), nil
}

// parseTime reads what System.Text.Json accepts: a date, or a date and a time of the day with minutes at least, any number of
// digits of a second, and Z, an offset or nothing. Nothing counts as UTC.
func parseTime(s string) (time.Time, error) {
	year, s, ok1 := number(s, 4)
	month, s, ok2 := number(after(s, '-'), 2)
	day, s, ok3 := number(after(s, '-'), 2)
	if !ok1 || !ok2 || !ok3 || year == 0 || month < 1 || month > 12 || day < 1 {
		return time.Time{}, errTime
	}
	var hour, minute, second, nano int
	zone := time.UTC
	if s != "" {
		hour, s, ok1 = number(after(s, 'T'), 2)
		minute, s, ok2 = number(after(s, ':'), 2)
		if !ok1 || !ok2 {
			return time.Time{}, errTime
		}
		if s != "" && s[0] == ':' {
			if second, s, ok3 = number(s[1:], 2); !ok3 {
				return time.Time{}, errTime
			}
			if s != "" && s[0] == '.' {
				if nano, s, ok3 = fraction(s[1:]); !ok3 {
					return time.Time{}, errTime
				}
			}
		}
		if zone, ok3 = parseZone(s); !ok3 {
			return time.Time{}, errTime
		}
	}
	if hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, errTime
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, nano, zone)
	if t.Day() != day {
		return time.Time{}, errTime
	}
	return t, nil
}

// parseZone reads what stands behind the time of the day.
func parseZone(s string) (*time.Location, bool) {
	if s == "" || s == "Z" {
		return time.UTC, true
	}
	if s[0] != '+' && s[0] != '-' {
		return nil, false
	}
	hours, rest, ok := number(s[1:], 2)
	minutes := 0
	if ok && rest != "" {
		minutes, rest, ok = number(after(rest, ':'), 2)
	}
	offset := hours*60 + minutes
	if !ok || rest != "" || minutes > 59 || offset > 14*60 {
		return nil, false
	}
	if s[0] == '-' {
		offset = -offset
	}
	return time.FixedZone("", offset*60), true
}

// after returns s without its first byte if that is c, and else a text that starts nothing.
func after(s string, c byte) string {
	if s == "" || s[0] != c {
		return "!"
	}
	return s[1:]
}

// number reads exactly n digits.
func number(s string, n int) (int, string, bool) {
	if len(s) < n {
		return 0, s, false
	}
	v := 0
	for i := range n {
		if s[i] < '0' || s[i] > '9' {
			return 0, s, false
		}
		v = v*10 + int(s[i]-'0')
	}
	return v, s[n:], true
}

// fraction reads the digits of a second as nanoseconds, at least one digit, cut to seven.
func fraction(s string) (nano int, rest string, ok bool) {
	unit := 100_000_000
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		if i < 7 {
			nano += int(s[i]-'0') * unit
			unit /= 10
		}
		i++
	}
	return nano, s[i:], i > 0
}

// ticks of 100 ns, the unit of .NET.
const (
	tick      = 100 * time.Nanosecond
	dayTicks  = uint64(24 * time.Hour / tick)
	hourTicks = uint64(time.Hour / tick)
)

// appendDuration writes a time span as .NET does: [-][d.]hh:mm:ss[.fffffff].
func appendDuration(dst []byte, d time.Duration) []byte {
	dst = append(dst, '"')
	ticks := uint64(d / tick)
	if d/tick < 0 {
		dst = append(dst, '-')
		ticks = -ticks
	}
	if days := ticks / dayTicks; days > 0 {
		dst = append(strconv.AppendUint(dst, days, 10), '.')
	}
	ticks %= dayTicks
	dst = appendPadded(dst, ticks/hourTicks, 2)
	dst = appendPadded(append(dst, ':'), ticks/uint64(time.Minute/tick)%60, 2)
	dst = appendPadded(append(dst, ':'), ticks/uint64(time.Second/tick)%60, 2)
	if f := ticks % uint64(time.Second/tick); f > 0 {
		dst = appendPadded(append(dst, '.'), f, 7)
	}
	return append(dst, '"')
}

func appendPadded(dst []byte, n uint64, width int) []byte {
	var space [20]byte
	text := strconv.AppendUint(space[:0], n, 10)
	for range width - len(text) {
		dst = append(dst, '0')
	}
	return append(dst, text...)
}

// parseDuration reads the time spans that System.Text.Json accepts: [-][d.]hh:mm[:ss[.f]] with up to seven digits f, or days
// alone. It fails beyond the 292 years of a [time.Duration].
func parseDuration(s string) (time.Duration, error) {
	negative := s != "" && s[0] == '-'
	if negative {
		s = s[1:]
	}
	var days, hours, minutes, seconds, nano int
	first, rest, ok := upTo(s, 8)
	switch {
	case !ok:
		return 0, errDuration
	case rest == "":
		days = first
	case rest[0] == '.':
		days = first
		if hours, rest, ok = upTo(rest[1:], 2); !ok || rest == "" {
			return 0, errDuration
		}
	default:
		hours = first
	}
	if rest != "" {
		if minutes, rest, ok = upTo(after(rest, ':'), 2); ok && rest != "" {
			seconds, rest, ok = upTo(after(rest, ':'), 2)
		}
		if ok && rest != "" && rest[0] == '.' && len(rest) <= 8 {
			nano, rest, ok = fraction(rest[1:])
		}
		if !ok || rest != "" {
			return 0, errDuration
		}
	}
	if hours > 23 || minutes > 59 || seconds > 59 || days > int(1<<63/uint64(24*time.Hour)) {
		return 0, errDuration
	}
	total := uint64(days)*uint64(24*time.Hour) + uint64(hours*3600+minutes*60+seconds)*uint64(time.Second) + uint64(nano)
	if negative && total <= 1<<63 {
		return -time.Duration(total), nil
	}
	if total >= 1<<63 {
		return 0, errDuration
	}
	return time.Duration(total), nil
}

// upTo reads one to n digits.
func upTo(s string, n int) (int, string, bool) {
	v, i := 0, 0
	for i < len(s) && i < n && s[i] >= '0' && s[i] <= '9' {
		v = v*10 + int(s[i]-'0')
		i++
	}
	return v, s[i:], i > 0
}
