"""The demonstration organisation and the scripted meeting behind `folkmoot demo`."""
