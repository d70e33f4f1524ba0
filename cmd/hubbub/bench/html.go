package bench

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// HTML is the report as one page that needs nothing else: its plots are SVG and it runs no code.
func (r *Report) HTML() []byte {
	var b strings.Builder
	title := fmt.Sprintf("hubbub bench %s", r.Job.Mode)
	fmt.Fprintf(&b, `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>%s</title><style>%s</style>`,
		html.EscapeString(title), pageStyle)
	fmt.Fprintf(&b, "<h1>%s</h1><p>%s · %s, %s, %s %s, %s</p>", html.EscapeString(title), r.When.Format("2006-01-02 15:04:05 UTC"),
		html.EscapeString(r.Machine.Model), processors(r.Machine.CPUs), html.EscapeString(r.Machine.OS), html.EscapeString(r.Machine.Kernel), html.EscapeString(r.Machine.Go))
	fmt.Fprintf(&b, "<p>%d connections, messages of %d bytes, %v", r.Job.Connections, r.Job.Size, r.Job.Duration)
	if r.Job.Rate > 0 {
		fmt.Fprintf(&b, ", %s a second offered", number(r.Job.Rate))
	}
	if r.Job.Target.Wire == wireHub {
		fmt.Fprintf(&b, ", %s over %s", html.EscapeString(r.Job.Protocol), html.EscapeString(r.Job.Transport))
	}
	if r.Job.Burst > 0 {
		fmt.Fprintf(&b, ", bursts of %d", r.Job.Burst)
	}
	if r.Job.Pipeline > 1 {
		fmt.Fprintf(&b, ", %d calls under way on each", r.Job.Pipeline)
	}
	b.WriteString("</p>")
	r.htmlTable(&b)
	p := plot{title: "Latency by share of messages", x: "share", y: "ms", logY: true, ticks: shareTicks}
	for _, t := range r.Targets {
		p.add(t.Target.Name, latencyLine(t.Latency))
	}
	p.write(&b)
	r.seriesPlot(&b, "Messages a second", "1/s", func(s Sample) float64 { return s.Rate })
	r.seriesPlot(&b, "Processors of the server", "cores", func(s Sample) float64 { return s.CPU })
	r.seriesPlot(&b, "Memory of the server", "MB", func(s Sample) float64 { return float64(s.RSSBytes) / 1e6 })
	for _, t := range r.Targets {
		for _, n := range t.Notes {
			fmt.Fprintf(&b, "<p>%s: %s</p>", html.EscapeString(t.Target.Name), html.EscapeString(n))
		}
	}
	b.WriteString("</html>\n")
	return []byte(b.String())
}

func processors(n int) string {
	if n == 1 {
		return "1 processor"
	}
	return fmt.Sprintf("%d processors", n)
}

const pageStyle = `body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
table{border-collapse:collapse}td,th{padding:.15rem .8rem;text-align:right;border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}
.bad{color:#b00020;font-weight:600}svg{width:100%;height:auto;margin:.5rem 0}svg text{font:13px system-ui,sans-serif;fill:#555}
@media(max-width:40rem){svg text{font-size:21px}td,th{padding:.15rem .4rem}}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#161616}td,th{border-color:#333}svg text{fill:#aaa}}`

func (r *Report) htmlTable(b *strings.Builder) {
	b.WriteString("<table><tr><th></th>")
	for i, t := range r.Targets {
		fmt.Fprintf(b, "<th>%s</th>", html.EscapeString(t.Target.Name))
		if i > 0 {
			b.WriteString("<th>ratio</th>")
		}
	}
	b.WriteString("</tr>")
	for _, f := range figures {
		if !f.shown(r.Targets) {
			continue
		}
		fmt.Fprintf(b, "<tr><td>%s %s</td>", f.name, f.unit)
		first := *f.of(&r.Targets[0].Median)
		for i := range r.Targets {
			v := *f.of(&r.Targets[i].Median)
			class := ""
			if f.troubles && v > 0 {
				class = ` class="bad"`
			}
			fmt.Fprintf(b, "<td%s>%s</td>", class, number(v))
			if i == 0 {
				continue
			}
			if f.ratio && v > 0 && first > 0 {
				fmt.Fprintf(b, "<td>%.3g×</td>", first/v)
			} else {
				b.WriteString("<td></td>")
			}
		}
		b.WriteString("</tr>")
	}
	b.WriteString("</table>")
}

func (r *Report) seriesPlot(b *strings.Builder, title, unit string, of func(Sample) float64) {
	p := plot{title: title, x: "s", y: unit}
	for _, t := range r.Targets {
		var line []Point
		some := false
		for _, s := range t.Series {
			v := of(s)
			some = some || v != 0
			line = append(line, Point{X: s.Seconds, Y: v})
		}
		if some && len(line) > 1 {
			p.add(t.Target.Name, line)
		}
	}
	p.write(b)
}

// shareTicks are on a scale where each further nine takes the same room.
var shareTicks = map[float64]string{0: "0", nines(50): "50 %", nines(90): "90 %", nines(99): "99 %", nines(99.9): "99.9 %", nines(99.99): "99.99 %", nines(99.999): "99.999 %"}

func nines(percent float64) float64 { return -math.Log10(1 - percent/100) }

func latencyLine(points []Point) []Point {
	var line []Point
	for _, p := range points {
		if p.X < 100 {
			line = append(line, Point{X: nines(p.X), Y: max(p.Y, 1) / 1000})
		}
	}
	return line
}
