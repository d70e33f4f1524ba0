package bench

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
)

// number writes v with three digits or more, thousands apart.
func number(v float64) string {
	if math.Abs(v) < 1000 && v != math.Trunc(v) {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	s := strconv.FormatFloat(math.Abs(math.Round(v)), 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if v < 0 {
		s = "-" + s
	}
	return s
}

// shown reports whether a figure is worth a row: it was measured on some target, or a trouble that is absent is news too.
func (f figure) shown(targets []Result) bool {
	for i := range targets {
		if *f.of(&targets[i].Median) != 0 {
			return true
		}
	}
	return f.troubles && f.name != "failed visits"
}

// WriteTable writes r for people.
func (r *Report) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	head := []string{string(r.Job.Mode)}
	for _, x := range r.Targets {
		head = append(head, x.Target.Name)
		if x.Target.Name != r.Targets[0].Target.Name {
			head = append(head, "ratio")
		}
	}
	fmt.Fprintln(t, strings.Join(head, "\t")+"\t")
	for _, f := range figures {
		if !f.shown(r.Targets) {
			continue
		}
		row := []string{f.name + " " + f.unit}
		first := *f.of(&r.Targets[0].Median)
		for i := range r.Targets {
			v := *f.of(&r.Targets[i].Median)
			row = append(row, number(v))
			if i == 0 {
				continue
			}
			ratio := ""
			if f.ratio && first > 0 && v > 0 {
				ratio = fmt.Sprintf("%.3g×", first/v)
			}
			row = append(row, ratio)
		}
		fmt.Fprintln(t, strings.Join(row, "\t")+"\t")
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, x := range r.Targets {
		for _, n := range x.Notes {
			if _, err := fmt.Fprintf(w, "%s: %s\n", x.Target.Name, n); err != nil {
				return err
			}
		}
	}
	return nil
}
