package bench

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// plot is a small SVG plot of lines.
type plot struct {
	title, x, y string
	logY        bool
	ticks       map[float64]string // of x; nil: chosen
	names       []string
	lines       [][]Point
}

func (p *plot) add(name string, line []Point) {
	if len(line) > 0 {
		p.names, p.lines = append(p.names, name), append(p.lines, line)
	}
}

// The room of a plot, in SVG units.
const (
	plotWidth, plotHeight = 800, 274
	plotLeft, plotRight   = 80, 52 // of which half the last label takes a part
	plotTop, plotBottom   = 44, 36
)

var plotColours = []string{"#1f77b4", "#d9730d", "#3a9d5d", "#8a5fc9"}

// write draws p, or nothing when there is nothing to draw.
func (p *plot) write(b *strings.Builder) {
	if len(p.lines) == 0 {
		return
	}
	lowX, highX := math.Inf(1), math.Inf(-1)
	lowY, highY := math.Inf(1), math.Inf(-1)
	for _, line := range p.lines {
		for _, q := range line {
			lowX, highX = min(lowX, q.X), max(highX, q.X)
			lowY, highY = min(lowY, q.Y), max(highY, q.Y)
		}
	}
	step := 0.0
	if p.logY {
		lowY, highY = math.Floor(math.Log10(lowY)), math.Ceil(math.Log10(highY))
		step = 1
	} else {
		step = evenStep(highY * 1.02 / 4)
		lowY, highY = 0, step*math.Ceil(highY*1.02/step)
	}
	if highX <= lowX {
		highX = lowX + 1
	}
	if highY <= lowY {
		highY, step = lowY+1, 1
	}
	x := func(v float64) float64 { return plotLeft + (v-lowX)/(highX-lowX)*(plotWidth-plotLeft-plotRight) }
	y := func(v float64) float64 {
		if p.logY {
			v = math.Log10(v)
		}
		return plotHeight - plotBottom - (v-lowY)/(highY-lowY)*(plotHeight-plotTop-plotBottom)
	}
	fmt.Fprintf(b, `<h2>%s</h2><svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, html.EscapeString(p.title), plotWidth, plotHeight, html.EscapeString(p.title))
	p.axes(b, x, y, lowX, highX, lowY, highY, step)
	for i, line := range p.lines {
		colour := plotColours[i%len(plotColours)]
		var points strings.Builder
		for _, q := range line {
			fmt.Fprintf(&points, "%.1f,%.1f ", x(q.X), y(q.Y))
		}
		fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>`, colour, strings.TrimSpace(points.String()))
		fmt.Fprintf(b, `<text x="%d" y="%d" style="fill:%s">%s</text>`, plotLeft+10+i*110, plotTop-26, colour, html.EscapeString(p.names[i]))
	}
	b.WriteString("</svg>")
}

func (p *plot) axes(b *strings.Builder, x, y func(float64) float64, lowX, highX, lowY, highY, step float64) {
	grid := func(at float64, text string) {
		fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#8884"/>`, plotLeft, plotWidth-plotRight, at, at)
		fmt.Fprintf(b, `<text x="%d" y="%.1f" text-anchor="end">%s</text>`, plotLeft-6, at+4, text)
	}
	if p.logY {
		for e := lowY; e <= highY; e++ {
			v := math.Pow(10, e)
			grid(y(v), fmt.Sprintf("%g", v))
		}
	} else {
		for i := 0; lowY+float64(i)*step <= highY+step/2; i++ {
			v := lowY + float64(i)*step
			grid(y(v), number(v))
		}
	}
	fmt.Fprintf(b, `<text x="6" y="%d">%s</text>`, plotTop-26, html.EscapeString(p.y))
	tick := func(v float64, text string) {
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`, x(v), plotHeight-plotBottom+18, html.EscapeString(text))
	}
	if p.ticks != nil {
		for v, text := range p.ticks {
			if v >= lowX && v <= highX {
				tick(v, text)
			}
		}
		return
	}
	step = evenStep((highX - lowX) / 5)
	for v := step * math.Ceil(lowX/step); v <= highX; v += step {
		tick(v, number(v)+" "+p.x)
	}
}

// evenStep is the least of 1, 2 and 5 times a power of ten that is at least v, which must be positive.
func evenStep(v float64) float64 {
	if v <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, n := range []float64{1, 2, 5} {
		if n*power >= v {
			return n * power
		}
	}
	return 10 * power
}
