package report

import (
	"encoding/json"
	"math"
	"reflect"
)

// real is a number that is null where JSON has no way to write it.
type real float64

func (v real) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(v))
}

// finite returns v with every number in its maps and lists that is not finite replaced by nil. Structs
// and what writes itself as JSON pass as they are.
func finite(v any) any {
	if _, ok := v.(json.Marshaler); ok {
		return v
	}
	x := reflect.ValueOf(v)
	switch x.Kind() {
	case reflect.Float32, reflect.Float64:
		if f := x.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			return nil
		}
	case reflect.Map:
		if x.Type().Key().Kind() != reflect.String || x.IsNil() {
			return v
		}
		out := make(map[string]any, x.Len())
		for it := x.MapRange(); it.Next(); {
			out[it.Key().String()] = finite(it.Value().Interface())
		}
		return out
	case reflect.Slice, reflect.Array:
		if x.Kind() == reflect.Slice && x.IsNil() || x.Type().Elem().Kind() == reflect.Uint8 {
			return v
		}
		out := make([]any, x.Len())
		for i := range out {
			out[i] = finite(x.Index(i).Interface())
		}
		return out
	}
	return v
}
