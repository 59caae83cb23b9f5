"""Other people's telemetry: files found, read, conformed to the contract, admitted to days."""
