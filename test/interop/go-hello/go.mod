module maesh.dev/test/hello

go 1.25.0
