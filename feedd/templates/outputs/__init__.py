"""From the text of a render to what is sent: links, styles, plain text, the subject. Pure functions of text."""
