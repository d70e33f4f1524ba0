package viewmodel

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// expression is a compiled CEL expression over self. It is safe for concurrent use.
type expression struct {
	program cel.Program
	kind    *cel.Type
}

// compiler compiles expressions.
type compiler struct {
	env  *cel.Env
	cost uint64
}

func newCompiler(cost uint64) (*compiler, error) {
	env, err := cel.NewEnv(cel.Variable("self", cel.MapType(cel.StringType, cel.DynType)), cel.CrossTypeNumericComparisons(true))
	if err != nil {
		return nil, fmt.Errorf("set CEL up: %w", err)
	}
	return &compiler{env, cost}, nil
}

// compile parses and checks an expression, whose value must be of the kind, if one is given, or only known when it runs.
func (c *compiler) compile(text string, want *cel.Type) (*expression, error) {
	if len(text) > maxExpression {
		return nil, fmt.Errorf("%d bytes long, want at most %d", len(text), maxExpression)
	}
	ast, issues := c.env.Compile(text)
	if issues.Err() != nil {
		return nil, issuesError(issues)
	}
	got := ast.OutputType()
	if want != nil && !got.IsExactType(cel.DynType) && !got.IsExactType(want) {
		return nil, fmt.Errorf("%s is of type %s, want %s", text, got, want)
	}
	program, err := c.env.Program(ast, cel.CostLimit(c.cost), cel.InterruptCheckFrequency(100), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, err
	}
	return &expression{program, got}, nil
}

// issuesError says what is wrong with an expression, and where, in one line.
func issuesError(issues *cel.Issues) error {
	var all []string
	for _, e := range issues.Errors() {
		all = append(all, fmt.Sprintf("character %d: %s", e.Location.Column()+1, e.Message))
	}
	return errors.New(strings.Join(all, "; "))
}

// eval returns the value in Go: nil, bool, int64, float64, string, []any or map[string]any.
func (e *expression) eval(ctx context.Context, self map[string]any) (any, error) {
	v, _, err := e.program.ContextEval(ctx, map[string]any{"self": self})
	if err != nil {
		return nil, err
	}
	return native(v)
}

// native turns a value of CEL into one that JSON knows.
func native(v ref.Val) (any, error) {
	switch v := v.(type) {
	case types.Null:
		return nil, nil
	case types.Bool:
		return bool(v), nil
	case types.Int:
		return int64(v), nil
	case types.Uint:
		if v > math.MaxInt64 {
			return nil, fmt.Errorf("the number %d is larger than %d", uint64(v), math.MaxInt64)
		}
		return int64(v), nil
	case types.Double:
		if f := float64(v); !math.IsInf(f, 0) && !math.IsNaN(f) {
			return f, nil
		}
		return nil, fmt.Errorf("the value %v is no number", float64(v))
	case types.String:
		return string(v), nil
	case types.Timestamp:
		return v.UTC().Format(time.RFC3339Nano), nil
	case types.Duration:
		return v.Duration.String(), nil
	case traits.Mapper:
		return nativeMap(v)
	case traits.Lister:
		list := []any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			e, err := native(it.Next())
			if err != nil {
				return nil, err
			}
			list = append(list, e)
		}
		return list, nil
	}
	return nil, fmt.Errorf("a value of type %s has no form in JSON", v.Type().TypeName())
}

func nativeMap(v traits.Mapper) (any, error) {
	m := map[string]any{}
	for it := v.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		name, ok := key.(types.String)
		if !ok {
			return nil, fmt.Errorf("a key of type %s, want string", key.Type().TypeName())
		}
		e, err := native(v.Get(key))
		if err != nil {
			return nil, err
		}
		m[string(name)] = e
	}
	return m, nil
}
